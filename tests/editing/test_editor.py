import cv2
import numpy as np
import pytest

import avlgan_jax
from avlgan_jax.editing import editor
from avlgan_jax.errors import UserError
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.emotions import TABLE_II
from avlgan_jax.faces.procedural import named
from avlgan_jax.photographs import cropping


@pytest.fixture(scope="module")
def model():
    return avlgan_jax.load()


def test_several_emotions_in_one_call_equal_single_calls(model):
    image, points = model.draw(seed=1)
    valence, arousal = TABLE_II[:3].T
    several = model.edit_with_landmarks(image, valence, arousal, points)
    assert several.images.shape == (3, *image.shape) and several.landmarks.shape == (3, 68, 2)
    for k in range(3):
        one = model.edit_with_landmarks(image, valence[k], arousal[k], points)
        assert one.images.dtype == np.uint8 and one.images.shape == image.shape
        # The programs for one face and for several may round differently.
        assert np.abs(one.images.astype(int) - several.images[k]).max() <= 1
        np.testing.assert_allclose(one.landmarks, several.landmarks[k], atol=1e-3)


def test_more_faces_than_the_largest_compiled_size(model):
    count = editor.SIZES[-1] + 1
    images, points = zip(*(model.draw(seed) for seed in (1, 2)), strict=True)
    order = np.arange(count) % 2
    faces = model.edit(np.stack(images)[order], 0.5, np.linspace(-0.5, 0.5, count), np.stack(points)[order])
    assert faces.shape == (count, *images[0].shape)
    single = model.edit(images[order[-1]], 0.5, 0.5, points[order[-1]])
    assert np.abs(faces[-1].astype(int) - single).max() <= 1


def test_a_matrix_has_the_layout_of_the_valence_arousal_plane(model):
    image, points = model.draw(seed=1)
    grid = model.matrix(image, 3, points)
    side = model.resolution
    assert grid.shape == (3, 3, side, side, 3)
    assert np.abs(grid[0, 2].astype(int) - model.edit(image, 0.8, 0.8, points)).max() <= 1
    assert np.abs(grid[2, 0].astype(int) - model.edit(image, -0.8, -0.8, points)).max() <= 1
    assert (grid[0, 0] != grid[2, 2]).any()


def test_without_landmarks_those_of_the_discriminator_are_used(model):
    image, points = model.draw(seed=1)
    predicted = model.read_landmarks(image)
    assert predicted.shape == (68, 2)
    np.testing.assert_array_equal(model.edit(image, 0.5, 0.1), model.edit(image, 0.5, 0.1, predicted))
    # The error is smaller than that of the mean landmarks of other faces, so the prediction depends on the image.
    others = np.stack([model.draw(seed)[1] for seed in range(2, 12)]).mean(axis=0)
    errors = lm.normalised_mean_error(np.stack([predicted, others]), np.stack([points, points]))
    assert errors[0] < errors[1]


@pytest.mark.slow
def test_weights_of_3d_landmarks_take_three_coordinates(trained_run_3d, model):
    model_3d = avlgan_jax.load(trained_run_3d[0])
    image, points = model_3d.draw(seed=1)
    assert model_3d.landmark_dimensions == 3 and points.shape == model_3d.read_landmarks(image).shape == (68, 3)
    moved = model_3d.edit_with_landmarks(image, [0.5, -0.5], [0.1, 0.3], points)
    assert moved.landmarks.shape == (2, 68, 3) and moved.images.shape == (2, *image.shape)
    np.testing.assert_array_equal(
        model_3d.paint(image, points, moved.landmarks[0], 0.5, 0.1), model_3d.edit(image, 0.5, 0.1, points)
    )
    assert model_3d.transfer(np.stack([image, image]), image, points).landmarks.shape == (2, 68, 3)
    for weights, wrong in ((model_3d, points[:, :2]), (model, points)):
        with pytest.raises(UserError, match=r"landmarks of shape \(68, .\): these weights take 68 points of"):
            weights.edit(weights.draw(seed=1)[0], 0.5, 0.1, wrong)


def test_paint_with_converted_landmarks_equals_edit(model):
    image, points = model.draw(seed=1)
    moved = model.edit_with_landmarks(image, 0.6, 0.2, points)
    np.testing.assert_array_equal(model.paint(image, points, moved.landmarks, 0.6, 0.2), moved.images)
    dragged = moved.landmarks.copy()
    dragged[lm.GROUPS["mouth"]] += 4.0
    assert (model.paint(image, points, dragged, 0.6, 0.2) != moved.images).any()


def test_predict_and_read_emotions_take_one_image_or_several(model):
    images = np.stack([model.draw(seed)[0] for seed in range(3)])
    for reader in (model.predict, model.read_emotions):
        emotions = reader(images)
        assert emotions.shape == (3, 2) and emotions.dtype == np.float32
        np.testing.assert_allclose(reader(images[0]), emotions[0], atol=1e-4)


def test_a_seed_determines_the_drawn_person(model):
    image, points = model.draw(seed=5)
    same, _ = model.draw(seed=5)
    np.testing.assert_array_equal(image, same)
    assert (image != model.draw(seed=6)[0]).any() and (image != model.draw(seed=5, infant=True)[0]).any()
    assert points.min() > 0 and points.max() < model.resolution


def test_the_emotions_of_a_film_are_transferred_to_another_face(model):
    frames = np.stack([model.draw(1, valence=valence)[0] for valence in np.linspace(-0.6, 0.6, 5)])
    image, points = model.draw(2)
    transferred = model.transfer(frames, image, points)
    predicted = model.read_emotions(frames)
    np.testing.assert_allclose(
        transferred.emotions, predicted / np.maximum(np.linalg.norm(predicted, axis=-1, keepdims=True), 1)
    )
    assert np.abs(transferred.images[3].astype(int) - model.edit(image, *transferred.emotions[3], points)).max() <= 1
    smoothed = model.transfer(frames, image, points, smoothing=2.0)
    assert np.abs(np.diff(smoothed.emotions, axis=0)).sum() < np.abs(np.diff(transferred.emotions, axis=0)).sum()
    with pytest.raises(UserError, match="smoothing of -1"):
        model.transfer(frames, image, points, smoothing=-1)


def test_invalid_inputs_are_user_errors(model):
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


@pytest.mark.parametrize(
    ("valence", "arousal", "message"),
    [
        ([0.1, 0.2, 0.3], [0.1, 0.2], r"do not fit together: valence \(3,\), arousal \(2,\)"),
        ([[0.1], [0.2, 0.3]], 0.0, "valence .* expected numbers"),
        ("much", 0.0, "valence much: expected numbers"),
        (0.0, None, "arousal None: expected numbers from -1 to 1"),
    ],
)
def test_emotions_that_are_no_pairs_of_numbers_are_user_errors(model, valence, arousal, message):
    image, points = model.draw(seed=1)
    with pytest.raises(UserError, match=message):
        model.edit(image, valence, arousal, points)


def test_landmarks_that_are_no_pixels_are_user_errors(model):
    image, points = model.draw(seed=1)
    unknown = points.copy()
    unknown[3, 1] = np.nan
    for wrong, message in (
        (unknown, "1 of their 136 numbers are not finite"),
        (points / model.resolution, "landmarks from 0.* expected pixels of the image, from 0 to 64"),
        (points * 20.0, "convert those of a photograph with CropSquare.to_crop"),
        (points[None].repeat(3, axis=0), r"images \(2,\), emotions \(\), landmarks \(3,\)"),
    ):
        with pytest.raises(UserError, match=message):
            model.edit(np.stack([image, image]), 0.0, 0.0, wrong)
        with pytest.raises(UserError):
            model.paint(image, wrong, wrong, 0.0, 0.0)
    with pytest.raises(UserError, match="batch shapes .*expected landmarks of each image"):
        model.paint(image, points, points, [0.1, 0.2], 0.0)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True, None])
def test_only_integers_of_0_or_more_are_seeds(model, seed):
    with pytest.raises(UserError, match="expected an integer of 0 or more"):
        model.draw(seed)


def test_a_seed_of_any_size_is_drawn_and_a_wrong_emotion_is_a_user_error(model):
    assert model.draw(np.int64(3))[0].shape == model.draw(10**30)[0].shape
    with pytest.raises(UserError, match=r"emotion \(2\.0, 0\.0\): expected"):
        model.draw(1, valence=2.0)


@pytest.mark.parametrize("n", [34, 10**6, 2.5, "9"])
def test_a_matrix_has_a_bound(model, n):
    with pytest.raises(UserError, match=rf"{n} x {n}: expected at least 2 x 2 and at most 33 x 33"):
        model.matrix(model.draw(1)[0], n)


def test_a_film_without_frames_and_a_smoothing_without_a_number_are_answered(model):
    image, points = model.draw(1)
    with pytest.raises(UserError, match="smoothing of nan"):
        model.transfer(image[None], image, points, smoothing=float("nan"))
    assert len(model.transfer(image[None][:0], image, points).images) == 0


def test_portraits_are_as_sharp_as_the_photograph(model):
    photo, landmarks = named.draw_by_name("procedural:3")
    face = cropping.uncropped_face(photo, landmarks, model.resolution)
    emotions = np.array([[0.7, 0.2], [-0.5, 0.5]], np.float32)
    shown = model.portraits(photo, face, emotions, 128)
    assert shown.shape == (2, 128, 128, 3) and (shown[0] != shown[1]).any()

    def sharpness(picture):
        return np.abs(np.diff(picture.astype(float), axis=1)).mean()

    picture, _ = cropping.portrait(photo, face, 128)
    enlarged = cv2.resize(face.image, (128, 128), interpolation=cv2.INTER_LINEAR)
    for image in shown:
        assert sharpness(image) > 0.9 * sharpness(picture) > sharpness(enlarged)
