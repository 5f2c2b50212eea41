import numpy as np
import pytest

from avlgan_jax.faces import crop, procedural


def test_points_round_trip_between_photograph_and_crop():
    generator = np.random.default_rng(0)
    for _ in range(50):
        points = generator.uniform(20, 180, (68, 2)).astype(np.float32)
        square = crop.square_around(points, (200, 240, 3), generator.uniform(0, 1))
        back = square.to_photograph(square.to_crop(points, 128), 128)
        np.testing.assert_allclose(back, points, atol=1e-3)


@pytest.mark.parametrize("resolution", [48, 128])
def test_crop_moves_pixels_like_points(resolution):
    """The centre of a bright dot in the crop is within 0.1 pixels of its `to_crop` position."""
    points = np.array([[61.5, 80.5], [140.5, 90.5], [100.5, 150.5]], np.float32)
    rows, columns = np.mgrid[:256, :256] + 0.5
    for point in points:
        blob = np.exp(-((columns - point[0]) ** 2 + (rows - point[1]) ** 2) / (2 * 4.0**2))
        image = np.repeat((255 * blob).round().astype(np.uint8)[..., None], 3, axis=2)
        square = crop.square_around(points, image.shape, 0.3137)
        cropped = crop.crop_square(image, square, resolution)[..., 0].astype(float)
        grid = np.mgrid[:resolution, :resolution] + 0.5
        found = [(grid[1] * cropped).sum() / cropped.sum(), (grid[0] * cropped).sum() / cropped.sum()]
        np.testing.assert_allclose(found, square.to_crop(point, resolution), atol=0.1)


def test_shrinking_is_antialiased():
    """A fine chequerboard becomes uniform grey. Taking every n-th pixel would give stripes or black."""
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(board[..., None], 3, axis=2)
    cropped = crop.crop_square(image, crop.CropSquare(3.3, 7.7, 500.0), 64)
    assert np.abs(cropped.astype(int) - 127).max() <= 3


def test_a_crop_of_the_full_image_at_its_resolution_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(crop.crop_square(image, crop.CropSquare(0.0, 0.0, 64.0), 64), image)


def test_the_square_is_centred_with_its_margin_if_there_is_room():
    square = crop.square_around(np.array([[400.0, 300.0], [500.0, 360.0]]), (1000, 1000, 3), 0.25)
    assert (square.left, square.top, square.side) == (375.0, 255.0, 150.0)


def test_a_face_has_the_same_place_and_size_in_the_crop_of_a_tight_photograph():
    """The photograph is cut around its face until it ends at the chin; the crop stays the same where it is known."""
    drawn = procedural.render(procedural.sample_face(3, 4, 0, False), 0.0, 0.0, 256)
    low, high = drawn.landmarks.min(axis=0).astype(int), np.ceil(drawn.landmarks.max(axis=0)).astype(int)
    tight = drawn.image[low[1] : high[1], low[0] : high[0]]
    crops = {}
    for name, image, points in (("whole", drawn.image, drawn.landmarks), ("tight", tight, drawn.landmarks - low)):
        square = crop.square_around(points, image.shape)
        crops[name] = crop.crop_square(image, square, 64).astype(int), square.to_crop(points, 64)
    np.testing.assert_allclose(crops["tight"][1], crops["whole"][1], atol=1e-3)
    first, last = (f(crops["whole"][1][:, 1]) for f in (np.min, np.max))
    known = slice(int(first) + 2, int(last) - 2)
    difference = crops["whole"][0][known, known] - crops["tight"][0][known, known]
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("square", [(-5.0, 0.0, 20.0), (40.5, 45.25, 30.0), (-20.0, -30.0, 100.0)])
def test_beyond_the_image_its_border_is_repeated(square):
    image = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    padded = np.pad(image, ((100, 100), (100, 100), (0, 0)), mode="edge")
    left, top, side = square
    expected = crop.crop_square(padded, crop.CropSquare(left + 100.0, top + 100.0, side), 16)
    found = crop.crop_square(image, crop.CropSquare(*square), 16).astype(int)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("points", [[[5.0, 5.0]] * 68, [[300.0, 10.0], [400.0, 90.0]], [[-90.0, 10.0], [-9.0, 90.0]]])
def test_points_without_extent_or_outside_the_photograph_are_refused(points):
    with pytest.raises(ValueError, match=r"no extent|outside the photograph"):
        crop.square_around(np.array(points), (200, 200, 3))


def test_depth_is_scaled_with_the_crop_and_not_shifted():
    square = crop.CropSquare(30.0, 20.0, 50.0)
    points = np.array([[30.0, 20.0, -4.0], [80.0, 45.0, 10.0]], np.float32)
    found = square.to_crop(points, 100)
    np.testing.assert_allclose(found, [[0.0, 0.0, -8.0], [100.0, 50.0, 20.0]])
    np.testing.assert_allclose(square.to_photograph(found, 100), points)


def test_a_drawn_face_is_cropped_with_its_landmarks():
    """The crop has nearly the same colour at the centre of the right eye as the image before cropping."""
    drawn = procedural.render(procedural.sample_face(3, 4, 0, False), 0.0, 0.0, 256)
    square = crop.square_around(drawn.landmarks, drawn.image.shape)
    image, points = crop.crop_square(drawn.image, square, 128), square.to_crop(drawn.landmarks, 128)
    eye = points[36:42].mean(axis=0)
    big_eye = drawn.landmarks[36:42].mean(axis=0)
    small = image[int(eye[1]), int(eye[0])].astype(int)
    large = drawn.image[int(big_eye[1]) - 1 : int(big_eye[1]) + 1, int(big_eye[0]) - 1 : int(big_eye[0]) + 1]
    assert np.abs(small - large.mean(axis=(0, 1))).max() < 40
