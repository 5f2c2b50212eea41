"""Example faces of the report: each output has its target emotion."""

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation import examples
from avlgan_jax.faces import emotions


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(16, seed=3)


@pytest.fixture(autouse=True)
def few_examples(monkeypatch):
    monkeypatch.setattr(examples, "FACES", 3)
    monkeypatch.setattr(examples, "MATRICES", 1)


def test_every_output_has_its_target_emotion(faces):
    models = oracle.oracle(faces)
    rows = examples.rows(models, faces, 0, oracle.render_all)
    np.testing.assert_array_equal(rows.outputs["avlandmarkgan"], rows.outputs["truth"])
    np.testing.assert_array_equal(rows.outputs["avgan"], rows.images)
    np.testing.assert_array_equal(models.predict(rows.outputs["avlandmarkgan"]), rows.targets)
    shown = examples.expressions(models, faces, 0, emotions.TABLE_II)
    np.testing.assert_array_equal(shown.images, rows.images)
    for row in shown.outputs:
        np.testing.assert_array_equal(models.predict(row), emotions.TABLE_II)
    grid = examples.matrices(models, faces, 0, oracle.render_all)[0].grids["avlandmarkgan"]
    top_left, bottom_right = models.predict(np.stack([grid[0, 0], grid[-1, -1]]))
    np.testing.assert_allclose(top_left, [-0.8, 0.8])
    np.testing.assert_allclose(bottom_right, [0.8, -0.8])


def test_examples_of_photographs_have_no_ground_truth(faces):
    models, photographs = oracle.oracle(faces), oracle.photographs(faces)
    assert set(examples.rows(models, photographs, 0, None).outputs) == {"avlandmarkgan", "avgan"}
    assert set(examples.matrices(models, photographs, 0, None)[0].grids) == {"avlandmarkgan", "avgan"}


def test_moves_have_different_people_and_eyes_that_open_and_close():
    faces = oracle.draw_faces(96, seed=3)
    models = oracle.oracle(faces)
    found = examples.moves(models, faces, 0, oracle.render_all)
    assert set(found) == {"adult", "infant"}
    for rows in found.values():
        targets = np.repeat(np.array(list(examples.MOVES.values()), np.float32), examples.FACES_PER_MOVE, axis=0)
        np.testing.assert_array_equal(rows.targets, targets)
        asleep, awake = (
            list(examples.MOVES).index(name) * examples.FACES_PER_MOVE for name in ("fall asleep", "wake up")
        )
        assert rows.emotions[asleep : asleep + 2, 1].min() > 0.3 > -0.3 > rows.emotions[awake : awake + 2, 1].max()
        assert len({image.tobytes() for image in rows.images}) == len(targets)
        np.testing.assert_array_equal(rows.outputs["avlandmarkgan"], rows.outputs["truth"])
        assert not np.array_equal(rows.outputs["warp"], rows.images)
    few = oracle.draw_faces(16, seed=3)  # too few infants
    assert set(examples.moves(oracle.oracle(few), few, 0, None)) <= {"adult"}
