import pytest

from avlgan_jax.errors import UserError
from avlgan_jax.training import skipped_steps


def test_skipped_steps_use_batches_of_steps_that_no_run_reaches(tmp_path):
    skips = skipped_steps.SkippedSteps(((4, 6), (6, 8)))
    steps = [skips.data_step(step) for step in range(10)]
    assert steps[:4] == [0, 1, 2, 3] and steps[9] == 9
    assert all(step > 10**12 for step in steps[4:9]) and len(set(steps)) == 10


def test_skipped_intervals_are_recorded(tmp_path):
    skipped_steps.write_bad_step(tmp_path, {"step": 7, "ids": []})
    assert (
        skipped_steps.resume_past(tmp_path, 4)
        == skipped_steps.SkippedSteps(((4, 7),))
        == skipped_steps.read_skips(tmp_path)
    )
    # Resuming removed bad_step.json, so another call adds no interval.
    assert skipped_steps.resume_past(tmp_path, 6) == skipped_steps.read_skips(tmp_path)
    skipped_steps.write_bad_step(tmp_path, {"step": 9, "ids": []})
    assert skipped_steps.resume_past(tmp_path, 8).intervals == ((4, 7), (8, 9))


@pytest.mark.parametrize("name", [skipped_steps.SKIPPED, skipped_steps.BAD])
@pytest.mark.parametrize("text", ["", "[1", '{"step": "x"}', "[[1]]", "7"])
def test_a_damaged_file_is_a_user_error(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        skipped_steps.resume_past(tmp_path, 4)
