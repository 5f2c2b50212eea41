"""The warp by landmarks: what it promises for every image and every pair of landmarks."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import openings, procedural, warp

SIDE = 48


@pytest.fixture(scope="module")
def face():
    """One drawn face, neutral and surprised: images in [-1, 1], landmarks in [-1, 1]."""
    drawn = procedural.sample_face(5, 3, 0, False)
    neutral, surprised = (procedural.render(drawn, *emotion, SIDE) for emotion in ((0.0, 0.0), (0.2, 0.8)))
    images = [jnp.asarray(shown.image, jnp.float32) / 127.5 - 1.0 for shown in (neutral, surprised)]
    points = [jnp.asarray(lm.normalise(shown.landmarks, SIDE)) for shown in (neutral, surprised)]
    return images, points


def test_equal_landmarks_return_the_image_bit_for_bit(face):
    (image, _), (points, _) = face
    assert np.asarray(warp.warp(image, points, points)).tobytes() == np.asarray(image).tobytes()


def test_the_border_and_what_is_far_from_every_landmark_do_not_move(face):
    (image, _), (source, target) = face
    flow, pixels = warp.fit(source, target), warp.pixel_centres(SIDE, SIDE)
    moved = warp.displacement(flow, pixels)
    far = np.linalg.norm(np.asarray(pixels)[:, None] - np.asarray(target), axis=-1).min(axis=1) >= warp.SUPPORT
    border = np.abs(pixels).max(axis=1) >= warp.BORDER - 1e-6
    assert far.any() and not np.any(np.asarray(moved)[far])
    edge = jnp.array([[x, y] for x in np.linspace(-1, 1, 9) for y in (-1.0, 1.0)])
    assert not np.any(warp.displacement(flow, edge)) and not np.any(np.asarray(moved)[border])
    warped = warp.warp(image, source, target)
    np.testing.assert_array_equal(np.asarray(warped).reshape(-1, 3)[far], np.asarray(image).reshape(-1, 3)[far])


def test_the_background_stays_to_the_bit(face):
    (image, _), (source, target) = face
    flow, pixels = warp.fit(source, target), warp.pixel_centres(SIDE, SIDE)
    inside = np.asarray(warp.face(flow, pixels))
    # The hull is convex: nothing is farther outside than the nearest landmark or the forehead.
    points = np.concatenate([np.asarray(p) for shape in (source, target) for p in (shape, warp.forehead(shape))])
    nearest = np.linalg.norm(np.asarray(pixels)[:, None] - points, axis=-1).min(axis=1)
    assert np.all(inside[nearest < 1e-3] == 1.0) and np.all(np.asarray(warp.face(flow, jnp.asarray(points))) > 0.99)
    background = inside == 0.0
    assert 0.2 < background.mean() < 0.8
    eye_distance = np.linalg.norm(source[36] - source[45])
    assert nearest[background].min() >= warp.FACE_MARGIN * eye_distance * np.cos(np.pi / 32)
    warped = np.asarray(warp.warp(image, source, target)).reshape(-1, 3)
    np.testing.assert_array_equal(warped[background], np.asarray(image).reshape(-1, 3)[background])


def test_the_face_is_the_same_compiled_with_its_fit_and_alone(face):
    _, (source, target) = face
    pixels = warp.pixel_centres(SIDE, SIDE)
    together = jax.jit(lambda a, b: warp.face(warp.fit(a, b), pixels))(source, target)
    np.testing.assert_allclose(together, warp.face(warp.fit(source, target), pixels), atol=1e-5)


def test_the_warped_face_is_nearer_to_the_true_one(face):
    (image, truth), (source, target) = face
    before, after = (float(jnp.mean((x - truth) ** 2)) for x in (image, warp.warp(image, source, target)))
    assert after < 0.7 * before


def test_the_flow_meets_the_landmarks_as_far_as_the_ridge_lets_it(face):
    _, (source, target) = face
    reached = warp.displacement(warp.fit(source, target), target)
    wanted = source - target
    assert float(jnp.abs(reached - wanted).mean()) < 0.35 * float(jnp.abs(wanted).mean())


def test_conjugate_gradients_agree_with_a_direct_solver(face):
    _, (source, target) = face
    flow = warp.fit(source, target, fine=True)
    from_points, to_points = warp._with_chin_and_brows(source, target)
    centres, moves = (np.asarray(points, np.float64) for points in (flow.centres, from_points - to_points))
    distances = np.linalg.norm(centres[:, None] - centres, axis=-1)
    matrix = np.asarray(warp._kernel(jnp.asarray(distances, jnp.float32))) + warp.RIDGE * np.eye(len(centres))
    direct = np.linalg.solve(matrix.astype(np.float64), moves)
    pixels = warp.pixel_centres(SIDE, SIDE)
    exact = warp.displacement(flow._replace(coefficients=jnp.asarray(direct, jnp.float32)), pixels)
    # A hundredth of a pixel.
    np.testing.assert_allclose(warp.displacement(flow, pixels), exact, atol=0.01 * 2 / SIDE)


def test_one_landmark_that_moves_has_the_displacement_of_the_formula():
    """Source and target differ in one point far from all others: (1 + RIDGE) * coefficient = displacement."""
    target = jnp.stack([jnp.linspace(-0.9, 0.9, 68), jnp.full(68, 0.7)], axis=-1).at[30].set(jnp.array([0.0, -0.5]))
    source = target.at[30].add(jnp.array([0.03, -0.02]))
    flow = warp.fit(source, target)
    np.testing.assert_allclose(flow.coefficients[30], np.array([0.03, -0.02]) / (1 + warp.RIDGE), rtol=1e-5)
    at = jnp.array([[0.0, -0.5], [0.0, -0.4]])  # in the hull of the landmarks
    scaled = 3**0.5
    falloff = (1 + scaled) * np.exp(-scaled) * (1 - 0.1 / warp.SUPPORT) ** 4 * (4 * 0.1 / warp.SUPPORT + 1)
    expected = np.outer([1.0, falloff], [0.03, -0.02]) / (1 + warp.RIDGE)
    np.testing.assert_allclose(warp.displacement(flow, at), expected, rtol=1e-4, atol=1e-7)


def test_a_fine_jaw_that_moves_down_is_not_scalloped():
    """Between two landmarks of a jaw the displacement is as large as at the landmarks, or nearly."""
    angle = jnp.linspace(0.0, jnp.pi, 17)
    jaw = jnp.stack([-0.6 * jnp.cos(angle), 0.1 + 0.6 * jnp.sin(angle)], axis=-1)
    source = jnp.concatenate([jaw, 0.1 * jnp.stack([jnp.cos(jnp.arange(51.0)), jnp.sin(jnp.arange(51.0))], axis=-1)])
    target = source.at[4:13, 1].add(0.1)
    along = jnp.concatenate([target[5:12], 0.5 * (target[5:11] + target[6:12])])
    least = {}
    for fine in (False, True):
        down = -np.asarray(warp.displacement(warp.fit(source, target, fine), along))[:, 1]
        least[fine] = down[7:].min() / down[:7].min()
    assert least[True] > 0.97 and least[False] < 0.95


def test_a_fine_brow_that_is_raised_keeps_its_thickness():
    """Its lower edge moves nearly as its landmarks do; with landmarks alone it stays behind, and the brow grows."""
    person = procedural.sample_face(5, 3, 0, False)
    landmarks = procedural.render(person, 0.0, 0.0, SIDE).landmarks[:, :2]
    source = jnp.asarray(lm.normalise(landmarks, SIDE), jnp.float32)
    target = source.at[17:27, 1].add(-0.12)
    edge = 0.8 * warp.BROW_EDGE * float(jnp.linalg.norm(source[36] - source[45]))
    under = target[jnp.array([18, 19, 20, 23, 24, 25])] + jnp.array([0.0, edge])
    moved = {
        fine: np.asarray(warp.displacement(warp.fit(source, target, fine), under))[:, 1].mean()
        for fine in (False, True)
    }
    assert moved[True] > 0.93 * 0.12 and moved[False] < 0.85 * 0.12


@pytest.mark.parametrize("rise", [0.1, 0.2])
def test_a_fine_chin_that_rises_follows_its_lip_and_is_not_seen_twice(rise):
    """A mouth closes: between lip and chin the skin moves with both. Below the chin comes the neck, in its order."""
    person = procedural.sample_face(5, 3, 0, False)
    landmarks = procedural.render(person, 0.0, 0.0, SIDE).landmarks[:, :2]
    target = jnp.asarray(lm.normalise(landmarks, SIDE), jnp.float32)
    rise *= float(jnp.linalg.norm(target[36] - target[45]))
    source = target.at[np.r_[55:60, 65:68, 6:11], 1].add(rise).at[np.array([4, 5, 11, 12]), 1].add(0.5 * rise)
    lip, chin = target[57], target[8]
    between = jnp.linspace(lip, chin, 9)[2:-2]
    below = jnp.linspace(chin, chin + jnp.array([0.0, 2.0 * rise]), 30)
    reached, order = {}, {}
    for fine in (False, True):
        flow = warp.fit(source, target, fine)
        reached[fine] = np.asarray(warp.displacement(flow, between))[:, 1].min() / rise
        order[fine] = np.diff(np.asarray(below + warp.displacement(flow, below))[:, 1]).min()
    assert reached[True] > 0.9 and reached[False] < 0.8
    assert order[True] > 0.0


def test_the_area_change_is_the_determinant_of_finite_differences(face):
    _, (source, target) = face
    flow = warp.fit(source, target)
    points = jnp.asarray(np.random.default_rng(0).uniform(-0.7, 0.7, (50, 2)), jnp.float32)
    step = 1e-3
    columns = [
        (warp.displacement(flow, points + step * axis) - warp.displacement(flow, points - step * axis)) / (2 * step)
        for axis in jnp.eye(2)
    ]
    jacobian = np.eye(2) + np.stack(columns, axis=-1)
    np.testing.assert_allclose(warp.area_change(flow, points), np.linalg.det(jacobian), atol=2e-2)


def test_the_flow_is_the_same_at_every_size(face):
    _, (source, target) = face
    flow = warp.fit(source, target)
    small, large = warp.pixel_centres(16, 16), warp.pixel_centres(48, 48)
    # Every third pixel centre of 48 is a pixel centre of 16.
    at = np.asarray(warp.displacement(flow, large)).reshape(48, 48, 2)[1::3, 1::3].reshape(-1, 2)
    np.testing.assert_allclose(warp.displacement(flow, small), at, atol=1e-6)


def test_depth_does_not_move_pixels(face):
    (image, _), (source, target) = face
    deep = [
        jnp.concatenate([points, jnp.full((68, 1), depth)], axis=-1) for points, depth in ((source, 0.1), (target, 0.5))
    ]
    np.testing.assert_array_equal(warp.warp(image, *deep), warp.warp(image, source, target))


def test_jit_vmap_and_pmap_agree_and_gradients_are_finite(face):
    (image, truth), (source, target) = face
    alone = warp.warp(image, source, target)
    close = functools.partial(chex.assert_trees_all_close, atol=0.01 / 127.5)  # a hundredth of a grey level
    close(jax.jit(warp.warp)(image, source, target), alone)
    pairs = [jnp.stack(pair) for pair in ((image, image), (source, source), (target, target))]
    close(jax.jit(jax.vmap(warp.warp))(*pairs), jnp.stack([alone, alone]))
    close(jax.pmap(warp.warp)(*pairs), jnp.stack([alone, alone]))

    def loss(image, source, target):
        return jnp.mean((warp.warp(image, source, target) - truth) ** 2)

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(image, source, target)
    chex.assert_tree_all_finite(gradients)
    assert all(float(jnp.abs(gradient).max()) > 0 for gradient in gradients)
    # Where nothing moves, distances are 0 and their slopes must be finite too.
    chex.assert_tree_all_finite(jax.grad(loss, argnums=(0, 1, 2))(image, source, source))


def test_a_similarity_is_taken_out_and_an_expression_stays(face):
    _, (source, target) = face
    angle, scale, shift = 0.1, 1.07, jnp.array([0.05, -0.03])
    rotation = scale * jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    np.testing.assert_allclose(warp.without_similarity(source, source @ rotation.T + shift), source, atol=1e-5)
    rigid = jnp.array(warp.RIGID)
    expression = target.at[rigid].set(source[rigid])  # nothing rigid moves
    moved = expression @ rotation.T + shift
    np.testing.assert_allclose(warp.without_similarity(source, moved), expression, atol=1e-5)


def test_inside_and_outside_of_an_opening():
    ring = (
        jnp.zeros((68, 2))
        .at[60:68]
        .set(
            jnp.array(
                [[-0.2, 0.4], [-0.1, 0.3], [0.0, 0.3], [0.1, 0.3], [0.2, 0.4], [0.1, 0.5], [0.0, 0.5], [-0.1, 0.5]]
            )
        )
    )
    points = jnp.array([[0.0, 0.4], [0.0, 0.25], [0.5, 0.4], [0.0, 0.48]])
    np.testing.assert_allclose(openings.opening(ring, openings.INNER_LIPS, points), [0.1, -0.05, -0.3, 0.02], atol=1e-5)


def test_features_are_mouth_and_eyes_before_and_after(face):
    _, (source, target) = face
    unit = float(np.linalg.norm(source[36] - source[45]))
    found = functools.partial(openings.features, source, target)
    for points in (source, target):
        np.testing.assert_array_equal(found(points[jnp.arange(36, 68)]), 1.0)
    lowest = jnp.maximum(source[57, 1], target[57, 1])
    below = jnp.array([[source[57, 0], lowest + distance * unit] for distance in (0.05, 0.12, 0.19)])
    near, between, far = np.asarray(found(below))
    assert near == 1.0 and 0.0 < between < 1.0 and far == 0.0
    assert not np.any(found(source[jnp.array([0, 16, 30])]))  # both ends of the jaw, the tip of the nose


def test_what_opens_is_revealed_and_what_was_open_is_not(face):
    _, (source, target) = face
    sharpness = SIDE / 2.0

    def revealed(before, after, points):
        moved = warp.displacement(warp.fit(before, after), points)
        return np.asarray(openings.revealed(before, after, points, moved, sharpness))

    inside = target[jnp.array(openings.INNER_LIPS)].mean(axis=0, keepdims=True)
    elsewhere = target[jnp.array([0, 8, 16, 30, 57])]
    opened = revealed(source, target, jnp.concatenate([inside, elsewhere]))
    assert opened[0] > 0.8 and opened[1:].max() < 0.1
    # An open mouth that moves as it is reveals nothing.
    shifted = target + jnp.array([0.05, 0.0])
    assert revealed(target, shifted, inside + jnp.array([0.05, 0.0]))[0] < 0.1
