"""The baseline that warps the input by its landmarks."""

import jax
import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation import baselines
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import warp


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(4, seed=5)


def test_landmarks_that_do_not_move_leave_the_picture_unchanged(faces):
    outputs = baselines.compiled_warp()(faces.images, faces.landmarks, faces.landmarks)
    np.testing.assert_array_equal(outputs, faces.images)


def test_the_pictures_are_warped_as_by_the_formula(faces):
    others = np.roll(faces.emotions, 1, axis=0)
    moved = np.stack([points for _, points in oracle.render_all(faces.extras["face_key"], others)])
    rows = np.resize(np.arange(4), baselines.PICTURES_AT_ONCE + 3)  # more than one chunk
    outputs = baselines.compiled_warp()(faces.images[rows], faces.landmarks[rows], moved[rows])
    assert outputs.dtype == np.uint8
    points = (lm.normalise(p, oracle.RESOLUTION) for p in (faces.landmarks, moved))
    expected = jax.vmap(warp.warp)(faces.images.astype(np.float32), *points)
    # Half a grey level is the rounding to eight bits. The solver's rounding depends on the number of pictures at once.
    np.testing.assert_allclose(outputs, np.asarray(expected)[rows], atol=0.75)
    assert np.any(outputs[:4] != faces.images, axis=(1, 2, 3)).all()


def test_depth_does_not_count(faces):
    moved = faces.landmarks + 0.7
    deep = [np.concatenate([p, np.full((4, 68, 1), z)], axis=-1) for p, z in ((faces.landmarks, 1.0), (moved, 5.0))]
    run = baselines.compiled_warp()
    np.testing.assert_array_equal(run(faces.images, *deep), run(faces.images, faces.landmarks, moved))
