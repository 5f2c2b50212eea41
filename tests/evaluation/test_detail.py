"""Fine detail of pictures and what of it is invented: by hand on single pixels, and on drawn faces."""

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation import detail

FLAT = np.full((1, 9, 9, 3), 100, np.uint8)


def with_pixel(row, column, colour, pictures=FLAT):
    """Return the pictures with one pixel of another colour."""
    changed = pictures.copy()
    changed[:, row, column] = colour
    return changed


def test_a_flat_picture_has_no_detail():
    assert detail.fine_detail(FLAT).max() == 0.0


def test_the_detail_around_a_single_pixel_by_hand():
    found = detail.fine_detail(with_pixel(4, 4, (164, 100, 100)))
    # Two passes of [1 2 1] / 4 along each axis weigh a pixel by [1 4 6 4 1] / 16 twice.
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    expected = 64 * weights
    expected[2, 2] = 64 * (1 - 36 / 256)
    np.testing.assert_allclose(found[0, 2:7, 2:7, 0], expected, rtol=1e-5)
    assert found[..., 1:].max() == 0.0
    assert found[0, :2].max() == found[0, :, 7:].max() == 0.0


def test_the_known_detail_reaches_one_pixel_further():
    spot = with_pixel(4, 4, (164, 100, 100))
    known = detail.known_detail(FLAT, spot)
    largest = 64 * (1 - 36 / 256)
    np.testing.assert_allclose(known[0, 3:6, 3:6, 0], largest, rtol=1e-5)
    assert known[0, 2, 4, 0] == pytest.approx(64 * 24 / 256)
    assert known[0, 1, 1, 0] == pytest.approx(64 / 256) and known[0, 0].max() == 0.0


def test_all_detail_of_a_speck_on_a_flat_picture_is_invented():
    found = detail.fine_detail(with_pixel(4, 4, (100, 100, 40)))
    invented = detail.invented_detail(found, detail.known_detail(FLAT, FLAT))
    np.testing.assert_array_equal(invented, found)
    assert invented.sum() == pytest.approx(60 * (1 - 36 / 256) + 60 * (1 - 36 / 256))


def test_detail_that_is_known_or_a_pixel_off_is_not_invented():
    spot = with_pixel(4, 4, (164, 100, 100))
    for output in (spot, with_pixel(3, 5, (164, 100, 100)), with_pixel(4, 4, (130, 100, 100)), FLAT):
        assert detail.invented_detail(detail.fine_detail(output), detail.known_detail(spot, FLAT)).max() == 0.0
    farther = detail.fine_detail(with_pixel(4, 6, (164, 100, 100)))
    assert detail.invented_detail(farther, detail.known_detail(spot, FLAT)).max() > 30.0


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(6, seed=8).images


def share_invented(output, truth):
    """Return the invented detail over the truth's detail."""
    invented = detail.invented_detail(detail.fine_detail(output), detail.known_detail(truth))
    return invented.sum() / detail.fine_detail(truth).sum()


def test_specks_are_invented_and_blur_and_light_are_not(faces):
    truth, generator = faces, np.random.default_rng(0)
    assert share_invented(truth, truth) == 0.0
    blurred = np.round(detail._blurred(detail._blurred(truth.astype(np.float32)))).astype(np.uint8)
    assert share_invented(blurred, truth) < 0.001
    brighter = np.minimum(truth.astype(int) + 10, 255).astype(np.uint8)
    assert share_invented(brighter, truth) < 0.001
    sprinkled, place = [], generator.random(truth.shape) < 0.01
    for amplitude in (30, 60, 120):
        moved = truth.astype(int) + amplitude * place * generator.choice([-1, 1], truth.shape)
        sprinkled.append(share_invented(np.clip(moved, 0, 255).astype(np.uint8), truth))
    assert 0.01 < sprinkled[0] < sprinkled[1] < sprinkled[2]
