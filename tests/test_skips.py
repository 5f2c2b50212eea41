import pytest

from avlgan_jax import skips
from avlgan_jax.errors import UserError


def test_steps_that_are_skipped_see_batches_of_steps_no_run_reaches(tmp_path):
    found = skips.Skips(((4, 6), (6, 8)))
    steps = [found.data_step(step) for step in range(10)]
    assert steps[:4] == [0, 1, 2, 3] and steps[9] == 9
    assert all(step > 10**12 for step in steps[4:9]) and len(set(steps)) == 10


def test_going_past_a_bad_step_is_written_down(tmp_path):
    skips.write_bad(tmp_path, {"step": 7, "ids": []})
    assert skips.resume_past(tmp_path, 4) == skips.Skips(((4, 7),)) == skips.read(tmp_path)
    assert skips.resume_past(tmp_path, 6) == skips.read(tmp_path)  # nothing bad since
    skips.write_bad(tmp_path, {"step": 9, "ids": []})
    assert skips.resume_past(tmp_path, 8).intervals == ((4, 7), (8, 9))


@pytest.mark.parametrize("name", [skips.SKIPPED, skips.BAD])
@pytest.mark.parametrize("text", ["", "[1", '{"step": "x"}', "[[1]]", "7"])
def test_a_damaged_file_is_one_line(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        skips.resume_past(tmp_path, 4)
