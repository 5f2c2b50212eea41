import dataclasses

import jax
import numpy as np
import pytest

from avlgan_jax.data import batches, mixed
from avlgan_jax.data.records import Faces
from avlgan_jax.errors import UserError
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.presets import debug


def some_faces(count):
    """Return faces of random pixels and numbers."""
    generator = np.random.default_rng(0)
    return Faces(
        images=generator.integers(0, 256, (count, 8, 8, 3), np.uint8),
        landmarks=generator.uniform(0, 8, (count, 68, 2)).astype(np.float32),
        emotions=generator.uniform(-1, 1, (count, 2)).astype(np.float32),
        expressions=np.zeros(count, np.int32),
        infants=np.zeros(count, bool),
        ids=np.arange(count).astype(str),
        subjects=np.arange(count).astype(str),
    )


@pytest.fixture
def faces():
    return some_faces(10)


def test_each_epoch_has_every_face_once_in_a_different_order(faces):
    order = np.concatenate([batches.plan_batch(7, step, 4, faces.emotions, "uniform").indices for step in range(5)])
    first, second = order[:10], order[10:]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first.tolist() != second.tolist()


def test_a_batch_depends_on_seed_and_step_only(faces):
    def everything(seed, steps):
        return [
            batches.assemble_batch(faces, batches.plan_batch(seed, s, 4, faces.emotions, "uniform"), True)
            for s in steps
        ]

    in_order, alone = everything(3, range(6))[5], everything(3, [5])[0]
    for a, b in zip(in_order, alone, strict=True):
        np.testing.assert_array_equal(a, b)
    other = everything(4, [5])[0]
    assert not np.array_equal(other.targets, alone.targets)


def test_shuffled_targets_are_the_labels_of_the_batch_and_uniform_ones_lie_in_the_disc(faces):
    plan = batches.plan_batch(0, 3, 6, faces.emotions, "shuffled")
    labels = faces.emotions[plan.indices]
    assert sorted(map(tuple, plan.targets)) == sorted(map(tuple, labels))
    uniform = batches.plan_batch(0, 3, 6, faces.emotions, "uniform").targets
    assert np.all(np.linalg.norm(uniform, axis=1) <= 1)


def test_mirrored_faces_have_mirrored_landmarks_and_others_are_unchanged(faces):
    flips = np.array([True, False])
    batch = batches.assemble_batch(
        faces, batches.BatchPlan(np.array([2, 5]), flips, np.zeros((2, 2), np.float32)), True
    )
    np.testing.assert_array_equal(batch.images[0], faces.images[2][:, ::-1])
    np.testing.assert_array_equal(batch.images[1], faces.images[5])
    normal = lm.normalise(faces.landmarks[[2, 5]], 8)
    np.testing.assert_allclose(batch.landmarks[0], lm.flip(normal[0]), atol=1e-6)
    np.testing.assert_allclose(batch.landmarks[1], normal[1], atol=1e-6)
    np.testing.assert_array_equal(batch.emotions, faces.emotions[[2, 5]])
    assert batch.position.tolist() == [0, 1]


def test_a_batch_of_3d_landmarks(faces):
    depth = np.random.default_rng(1).uniform(-1, 4, (10, 68, 1)).astype(np.float32)
    deep = dataclasses.replace(faces, landmarks=np.concatenate([faces.landmarks, depth], axis=-1))
    plan = batches.BatchPlan(np.array([2, 5]), np.array([True, False]), np.zeros((2, 2), np.float32))
    flat, batch = (batches.assemble_batch(some, plan, False) for some in (faces, deep))
    np.testing.assert_array_equal(batch.landmarks[..., :2], flat.landmarks)
    np.testing.assert_allclose(batch.landmarks[0, :, 2], depth[2, lm.FLIP_ORDER, 0] / 4, atol=1e-6)
    np.testing.assert_allclose(batch.landmarks[1, :, 2], depth[5, :, 0] / 4, atol=1e-6)


def test_half_of_the_faces_are_mirrored(faces):
    flips = np.concatenate([batches.plan_batch(0, step, 10, faces.emotions, "uniform").flips for step in range(100)])
    assert 0.45 < flips.mean() < 0.55


def test_batches_are_stacked_with_and_without_images(faces):
    plans = [batches.plan_batch(0, step, 4, faces.emotions, "uniform") for step in range(3)]
    stacked = batches.stack([batches.assemble_batch(faces, plan, False) for plan in plans])
    assert stacked.images is None and stacked.landmarks.shape == (3, 4, 68, 2)
    assert batches.stack([batches.assemble_batch(faces, plan, True) for plan in plans]).images.dtype == np.uint8


def test_augmentation_depends_on_the_step_and_keeps_order_flips_and_targets(faces):
    def made(step, augment):
        return batches.assemble_batch(faces, batches.plan_batch(0, step, 4, faces.emotions, "uniform", augment), True)

    once, again, plain = made(3, 1.0), made(3, 1.0), made(3, 0.0)
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(once.images, plain.images) and once.images.dtype == np.uint8
    assert not np.array_equal(once.landmarks, plain.landmarks) and once.landmarks.dtype == np.float32
    for same in ("emotions", "targets", "position"):  # the same as without augmentation
        np.testing.assert_array_equal(getattr(once, same), getattr(plain, same))


def test_a_part_of_an_augmented_batch_equals_that_part_of_the_full_batch(faces):
    plan = batches.plan_batch(0, 3, 4, faces.emotions, "uniform", 1.0)
    full, part = (batches.assemble_batch(faces, plan, True, places) for places in (slice(None), slice(2, 4)))
    for a, b in zip(*map(jax.tree.leaves, (full, part)), strict=True):
        np.testing.assert_array_equal(a[2:4], b)


@pytest.mark.parametrize("with_images", [True, False])
def test_a_batch_gathered_on_a_device_equals_one_assembled_on_the_host(faces, with_images):
    plan = batches.plan_batch(0, 3, 6, faces.emotions, "uniform")
    assert plan.flips.any() and not plan.flips.all()
    share = slice(1, 5)
    assembled = batches.assemble_batch(faces, plan, with_images, share)
    gathered = jax.jit(batches.gather_batch)(
        batches.device_faces(faces, with_images), batches.batch_indices(plan, share)
    )
    for ours, theirs in zip(gathered, assembled, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours.dtype == theirs.dtype and np.asarray(ours).tobytes() == theirs.tobytes()


def test_nbytes_of_faces_on_a_device(faces):
    assert batches.device_faces(faces, True).nbytes == 10 * (8 * 8 * 3 + 68 * 2 * 4 + 2 * 4)


def paired_faces(count=6, size=2):
    """Return `count` poses with `size` images each, in a mixed order."""
    order = np.random.default_rng(0).permutation(count * size)
    keys = np.stack([np.array([0, order_ // size, 0, 0]) for order_ in order]).astype(np.int64)
    plain = some_faces(count * size)
    return dataclasses.replace(plain, extras={"face_key": keys})


@pytest.mark.parametrize("size", [2, 3])
def test_paired_targets_are_other_images_of_the_same_pose(size):
    faces = paired_faces(size=size)
    keys = faces.extras["face_key"]
    assert faces.partners.shape == (len(faces), size - 1)
    for face, partners in enumerate(faces.partners):
        assert face not in partners and np.all(keys[partners] == keys[face])
    plan = batches.plan_batch(0, 1, 5, faces.emotions, "paired", partners=faces.partners)
    assert np.all(keys[plan.partners] == keys[plan.indices]) and np.all(plan.partners != plan.indices)
    batch = batches.assemble_batch(faces, plan, True)
    np.testing.assert_array_equal(batch.targets, faces.emotions[plan.partners].astype(np.float32))
    for place in range(5):
        image = faces.images[plan.partners[place]]
        expected = image[:, ::-1] if plan.flips[place] else image
        np.testing.assert_array_equal(batch.target_images[place], expected)
    share = slice(2, 4)
    part = batches.assemble_batch(faces, plan, True, share)
    np.testing.assert_array_equal(part.target_landmarks, batch.target_landmarks[share])
    on_device = batches.gather_batch(batches.device_faces(faces, True), batches.batch_indices(plan, share))
    jax.tree.map(np.testing.assert_array_equal, on_device, part)


def test_a_pair_has_the_same_proportions_and_the_other_choices_stay():
    faces = paired_faces()
    plain, varied = (
        batches.plan_batch(0, 3, 4, faces.emotions, "paired", partners=faces.partners, vary_proportions=strength)
        for strength in (0.0, 1.0)
    )
    assert plain.proportions is None
    jax.tree.map(np.testing.assert_array_equal, plain, varied._replace(proportions=None))
    batch = batches.assemble_batch(faces, varied, with_images=False)
    swapped = varied._replace(indices=varied.partners, partners=varied.indices)
    back = batches.assemble_batch(faces, swapped, with_images=False)
    np.testing.assert_array_equal(batch.target_landmarks, back.landmarks)
    assert not np.allclose(batch.landmarks, batches.assemble_batch(faces, plain, with_images=False).landmarks)


def test_pairs_need_several_images_of_every_pose():
    faces = paired_faces()
    with pytest.raises(UserError, match=r"poses have 1 to 2 images: .* --emotions 2"):
        _ = faces.take(np.arange(len(faces) - 1)).partners


def test_a_target_is_never_an_absent_label(faces):
    emotions = faces.emotions.copy()
    emotions[:6, 1] = np.nan
    complete = {tuple(emotion) for emotion in emotions[6:]}
    for step in range(20):
        plan = batches.plan_batch(0, step, 5, emotions, "shuffled")
        assert {tuple(target) for target in plan.targets} <= complete
        again = batches.plan_batch(0, step, 5, emotions, "shuffled")
        np.testing.assert_array_equal(plan.targets, again.targets)
    batch = batches.assemble_batch(dataclasses.replace(faces, emotions=emotions), plan, False)
    np.testing.assert_array_equal(np.isnan(batch.emotions[:, 1]), plan.indices < 6)
    unrated = np.full((10, 2), np.nan, np.float32)
    with pytest.raises(UserError, match="no label with both valence and arousal.*uniform"):
        batches.plan_batch(0, 0, 5, unrated, "shuffled")
    assert np.isfinite(batches.plan_batch(0, 0, 5, unrated, "uniform").targets).all()


def test_faces_without_a_pair_are_restored_and_only_by_a_converter_that_warps(faces):
    assert faces.alone.all() and (faces.partners[:, 0] == np.arange(len(faces))).all()
    config = dataclasses.replace(debug(), data="some_faces")
    for training in (config.landmark, config.image):
        paired = dataclasses.replace(training, targets="paired", batch_size=4)
        if training is config.landmark:
            with pytest.raises(UserError, match="10 faces are not drawn and have no pair"):
                batches.plan_for(config, paired, 0, faces)
            continue
        plan = batches.plan_for(config, paired, 0, faces)
        assert plan.restored.all()
        np.testing.assert_array_equal(plan.partners, plan.indices)
        assert not np.isin(plan.targets, faces.emotions).any()  # drawn from the disc
        batch = batches.assemble_batch(faces, plan, with_images=True)
        np.testing.assert_array_equal(batch.target_images, batch.images)


def test_examples_are_of_each_data_set_in_turn():
    drawn, others = paired_faces(count=6), some_faces(4)
    both = mixed.join([drawn, others])
    assert both.parts == (12, 4) and both.alone.tolist() == [False] * 12 + [True] * 4
    np.testing.assert_array_equal(both.partners[:12], drawn.partners)
    options = {"partners": both.partners, "alone": both.alone, "parts": both.parts}
    plans = [batches.plan_batch(0, step, 4, both.emotions, "paired", **options) for step in range(12)]
    for plan in plans:
        assert (plan.indices < 12).tolist() == [True, False] * 2
        np.testing.assert_array_equal(plan.restored, plan.indices >= 12)
        paired = ~plan.restored
        np.testing.assert_array_equal(plan.targets[paired], both.emotions[plan.partners[paired]].astype(np.float32))
    seen = np.concatenate([plan.indices for plan in plans])
    assert sorted(seen[seen < 12]) == sorted([*range(12)] * 2)  # each once an epoch
    assert sorted(seen[seen >= 12]) == sorted([12, 13, 14, 15] * 6)
    alone = np.concatenate([batches.plan_batch(0, step, 2, drawn.emotions, "uniform").indices for step in range(12)])
    np.testing.assert_array_equal(seen[seen < 12], alone)


def test_pairs_without_a_label_are_refused():
    faces = paired_faces()
    emotions = faces.emotions.copy()
    emotions[:, 1] = np.nan
    with pytest.raises(UserError, match="targets is paired, but these faces have no label"):
        batches.plan_batch(0, 1, 5, emotions, "paired", partners=faces.partners)
