"""The generator that warps and then paints: its inputs from geometry, and its training step."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_models import built, random_batch, small

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import procedural
from avlgan_jax.models import painter
from avlgan_jax.models.networks import Condition, image_to_uint8

SIDE = 48


@pytest.fixture(scope="module")
def faces():
    """Return images and landmarks of one person, calm and surprised, in [-1, 1] and as batches of one."""
    person = procedural.sample_face(5, 3, 0, False)
    rendered = [procedural.render(person, *emotion, SIDE) for emotion in ((0.0, 0.0), (0.2, 0.9))]
    images = [jnp.asarray(face.image, jnp.float32)[None] / 127.5 - 1.0 for face in rendered]
    return images, [jnp.asarray(lm.normalise(face.landmarks, SIDE))[None] for face in rendered]


def inside_mouth(points) -> np.ndarray:
    """Return a mask of the pixels well within the inner lips."""
    ring = np.asarray(lm.to_pixels(points, SIDE))[0, 60:68]
    low, high = ring.min(axis=0) + 2.0, ring.max(axis=0) - 2.0
    centres = np.arange(SIDE) + 0.5
    across = (centres > low[0]) & (centres < high[0])
    down = (centres > low[1]) & (centres < high[1])
    return down[:, None] & across


def test_an_opening_mouth_is_revealed_and_skin_is_not(faces):
    (calm, _), (source, target) = faces
    geometry = painter.geometry(calm, source, target)
    mouth = inside_mouth(target)
    assert mouth.sum() > 4
    revealed = np.asarray(geometry.revealed)[0, ..., 0]
    assert revealed[mouth].min() > 0.8
    near = np.asarray(lm.to_pixels(target, SIDE))[0]
    pixels = np.stack(np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5), axis=-1)
    far_from_features = np.linalg.norm(pixels[:, :, None] - near[36:], axis=-1).min(axis=-1) > 3.0
    assert revealed[far_from_features & ~mouth].max() < 0.01


def test_nothing_is_revealed_or_moved_where_landmarks_stay(faces):
    (_, surprised), (_, points) = faces
    geometry = painter.geometry(surprised, points, points)
    np.testing.assert_array_equal(geometry.warped, surprised)
    assert not np.any(geometry.displacement) and np.all(geometry.area == 1.0)
    assert float(geometry.revealed.max()) <= 0.26  # s (1 - s) of a sigmoid s is at most 0.25


def test_a_closing_mouth_reveals_nothing_inside(faces):
    (_, surprised), (closed, opened) = faces
    geometry = painter.geometry(surprised, opened, closed)
    assert float(geometry.revealed.max()) < 0.6


def test_the_background_of_the_output_is_the_sources_to_the_bit(faces):
    (calm, _), (source, target) = faces
    network = painter.Painter(width=4, blocks=1)
    condition = Condition(jnp.array([[0.2, 0.9]]), target, source)
    params = network.init(jax.random.key(0), calm, condition)
    # Weights for which every pixel of the face is repainted.
    params = jax.tree.map(lambda leaf: 3.0 * leaf, params)
    output = np.asarray(image_to_uint8(network.apply(params, calm, condition).output))
    background = np.asarray(painter.geometry(calm, source, target).face)[..., 0] == 0.0
    unchanged = np.all(output == np.asarray(image_to_uint8(calm)), axis=-1)
    assert background.mean() > 0.2 and unchanged[background].all() and unchanged[~background].mean() < 0.5


def config(**changes):
    return dataclasses.replace(
        small(), image=dataclasses.replace(small().image, warped=True, mask_weight=0.1, **changes)
    )


def test_a_step_trains_the_painter_and_the_cycle_swaps_source_and_target():
    model, state, batch = built("image", config())
    real, own, target = model.trainer.view(state.frozen, batch)
    np.testing.assert_array_equal(own.source, target.landmarks)
    np.testing.assert_array_equal(target.source, own.landmarks)
    after, metrics = jax.jit(model.trainer.step)(state, batch, jax.random.key(1))
    chex.assert_tree_all_finite((after.generator, metrics))
    changed = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.generator, after.generator)
    assert all(jax.tree.leaves(changed)) and "g/mask" in metrics
    chex.assert_equal_shape([real, model.trainer.generate(after.generator, real, target).output])


def test_g_landmark_factor_scales_only_the_landmark_loss_of_the_generator():
    totals = []
    for factor in (0.0, 1.0):
        model, state, batch = built("image", config(g_landmark_factor=factor))
        real, own, target = model.trainer.view(state.frozen, batch)
        generated = model.trainer.generate(state.generator, real, target)
        arguments = (state.generator, generated, state.discriminator, real, own, target)
        total, parts = model.trainer.generator_objective(*arguments)
        totals.append(total)
        d_total, d_parts = model.trainer.reading_objective(state.discriminator, real, own)
        weights = model.trainer.weights
        expected = weights.emotion * d_parts["emotion"] + weights.landmark * d_parts["landmark"]
        np.testing.assert_allclose(d_total, expected, rtol=1e-6)
    np.testing.assert_allclose(totals[1] - totals[0], 10.0 * parts["landmark"], rtol=1e-4)


def test_emotions_are_read_from_blurred_images():
    model, state, batch = built("image", config(read_blurred=True))
    plain, _, _ = built("image", config())
    real, _, _ = model.trainer.view(state.frozen, batch)
    kernel = jnp.array([1.0, 2.0, 1.0]) / 4.0
    padded = jnp.pad(real, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    side = real.shape[1]
    blurred = sum(kernel[i] * kernel[j] * padded[:, i : i + side, j : j + side] for i in range(3) for j in range(3))
    found = model.trainer.discriminate(state.discriminator, real)
    np.testing.assert_allclose(
        found.emotions, plain.trainer.discriminate(state.discriminator, blurred).emotions, atol=1e-5
    )
    np.testing.assert_allclose(found.logits, plain.trainer.discriminate(state.discriminator, real).logits, atol=1e-5)


def test_3d_landmarks_warp_by_x_and_y(faces):
    (calm, _), (source, target) = faces
    with_depth = [
        jnp.concatenate([points, jnp.full((1, 68, 1), z)], axis=-1) for points, z in ((source, 0.2), (target, -0.1))
    ]
    np.testing.assert_array_equal(
        painter.geometry(calm, *with_depth).warped, painter.geometry(calm, source, target).warped
    )


def test_the_output_for_an_example_does_not_depend_on_other_examples():
    batch = random_batch(small(), 3)
    network = painter.Painter(width=4, blocks=1)
    images = jnp.asarray(batch.images, jnp.float32) / 127.5 - 1.0
    condition = Condition(batch.emotions, batch.landmarks, batch.landmarks[::-1])
    parameters = jax.jit(network.init)(jax.random.key(0), images, condition)
    convert = jax.jit(lambda images, condition: network.apply(parameters, images, condition).output)
    together = convert(images, condition)
    alone = convert(images[:1], jax.tree.map(lambda leaf: leaf[:1], condition))
    np.testing.assert_allclose(together[:1], alone, atol=1e-4)
