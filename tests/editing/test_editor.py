import numpy as np
import pytest

import avlgan_jax
from avlgan_jax.editing import editor
from avlgan_jax.errors import UserError
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.emotions import TABLE_II


@pytest.fixture(scope="module")
def model():
    return avlgan_jax.load()


def test_one_face_and_many_emotions_are_the_same_faces_one_by_one(model):
    image, points = model.draw(seed=1)
    valence, arousal = TABLE_II[:3].T
    many = model.edit_with_landmarks(image, valence, arousal, points)
    assert many.images.shape == (3, *image.shape) and many.landmarks.shape == (3, 68, 2)
    for k in range(3):
        one = model.edit_with_landmarks(image, valence[k], arousal[k], points)
        assert one.images.dtype == np.uint8 and one.images.shape == image.shape
        # Programs for one face and for many may round differently.
        assert np.abs(one.images.astype(int) - many.images[k]).max() <= 1
        np.testing.assert_allclose(one.landmarks, many.landmarks[k], atol=1e-3)


def test_more_faces_than_one_call_holds(model):
    count = editor.SIZES[-1] + 1
    images, points = zip(*(model.draw(seed) for seed in (1, 2)), strict=True)
    order = np.arange(count) % 2
    faces = model.edit(np.stack(images)[order], 0.5, np.linspace(-0.5, 0.5, count), np.stack(points)[order])
    assert faces.shape == (count, *images[0].shape)
    last = model.edit(images[order[-1]], 0.5, 0.5, points[order[-1]])
    assert np.abs(faces[-1].astype(int) - last).max() <= 1


def test_the_emotion_decides_and_a_matrix_is_laid_out_as_a_plane(model):
    image, points = model.draw(seed=1)
    grid = model.matrix(image, 3, points)
    side = model.resolution
    assert grid.shape == (3, 3, side, side, 3)
    assert np.abs(grid[0, 2].astype(int) - model.edit(image, 0.8, 0.8, points)).max() <= 1
    assert np.abs(grid[2, 0].astype(int) - model.edit(image, -0.8, -0.8, points)).max() <= 1
    assert (grid[0, 0] != grid[2, 2]).any()


def test_without_landmarks_the_discriminator_reads_them(model):
    image, points = model.draw(seed=1)
    read = model.read_landmarks(image)
    assert read.shape == (68, 2)
    np.testing.assert_array_equal(model.edit(image, 0.5, 0.1), model.edit(image, 0.5, 0.1, read))
    # Nearer than the mean of other faces: it looks at this one.
    others = np.stack([model.draw(seed)[1] for seed in range(2, 12)]).mean(axis=0)
    errors = lm.normalised_mean_error(np.stack([read, others]), np.stack([points, points]))
    assert errors[0] < errors[1]


@pytest.mark.slow
def test_weights_of_3d_landmarks_take_three_coordinates(trained_run_3d, model):
    deep = avlgan_jax.load(trained_run_3d[0])
    image, points = deep.draw(seed=1)
    assert deep.landmark_dimensions == 3 and points.shape == deep.read_landmarks(image).shape == (68, 3)
    moved = deep.edit_with_landmarks(image, [0.5, -0.5], [0.1, 0.3], points)
    assert moved.landmarks.shape == (2, 68, 3) and moved.images.shape == (2, *image.shape)
    np.testing.assert_array_equal(deep.paint(image, moved.landmarks[0], 0.5, 0.1), deep.edit(image, 0.5, 0.1, points))
    assert deep.transfer(np.stack([image, image]), image, points).landmarks.shape == (2, 68, 3)
    for weights, wrong in ((deep, points[:, :2]), (model, points)):
        with pytest.raises(UserError, match=r"landmarks of shape \(68, .\): these weights take 68 points of"):
            weights.edit(weights.draw(seed=1)[0], 0.5, 0.1, wrong)


def test_painting_to_ones_own_landmarks(model):
    image, points = model.draw(seed=1)
    moved = model.edit_with_landmarks(image, 0.6, 0.2, points)
    np.testing.assert_array_equal(model.paint(image, moved.landmarks, 0.6, 0.2), moved.images)
    dragged = moved.landmarks.copy()
    dragged[lm.GROUPS["mouth"]] += 4.0
    assert (model.paint(image, dragged, 0.6, 0.2) != moved.images).any()


def test_two_ways_to_read_an_emotion(model):
    images = np.stack([model.draw(seed)[0] for seed in range(3)])
    for reader in (model.predict, model.read_emotions):
        emotions = reader(images)
        assert emotions.shape == (3, 2) and emotions.dtype == np.float32
        np.testing.assert_allclose(reader(images[0]), emotions[0], atol=1e-4)


def test_a_seed_is_a_person(model):
    image, points = model.draw(seed=5)
    again, _ = model.draw(seed=5)
    np.testing.assert_array_equal(image, again)
    assert (image != model.draw(seed=6)[0]).any() and (image != model.draw(seed=5, infant=True)[0]).any()
    assert points.min() > 0 and points.max() < model.resolution


def test_a_film_is_performed_by_another_face(model):
    frames = np.stack([model.draw(1, valence=valence)[0] for valence in np.linspace(-0.6, 0.6, 5)])
    image, points = model.draw(2)
    shown = model.transfer(frames, image, points)
    judged = model.read_emotions(frames)
    np.testing.assert_allclose(shown.emotions, judged / np.maximum(np.linalg.norm(judged, axis=-1, keepdims=True), 1))
    assert np.abs(shown.images[3].astype(int) - model.edit(image, *shown.emotions[3], points)).max() <= 1
    calm = model.transfer(frames, image, points, smoothing=2.0)
    assert np.abs(np.diff(calm.emotions, axis=0)).sum() < np.abs(np.diff(shown.emotions, axis=0)).sum()
    with pytest.raises(UserError, match="smoothing of -1"):
        model.transfer(frames, image, points, smoothing=-1)


def test_what_cannot_be_edited(model):
    image, points = model.draw(seed=1)
    with pytest.raises(UserError, match=r"shape \(20, 20, 3\).*take uint8 faces of"):
        model.edit(image[:20, :20], 0.0, 0.0)
    with pytest.raises(UserError, match="type float32"):
        model.predict(image.astype(np.float32))
    with pytest.raises(UserError, match="valence 1.5.*from -1 to 1"):
        model.edit(image, 1.5, 0.0, points)
    with pytest.raises(UserError, match="valence nan"):
        model.edit(image, float("nan"), 0.0, points)
    with pytest.raises(UserError, match="at least 2 x 2"):
        model.matrix(image, 1)
