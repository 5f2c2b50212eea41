"""Goodput: the accounts of attempts against hand-made records, and the record of a real run that is started twice."""

import json
from types import SimpleNamespace

import pytest
from conftest import run

from avlgan_jax.errors import UserError
from avlgan_jax.training import goodput


def line(started, step, **seconds):
    return json.dumps({"started": started, "step": step, "seconds": dict.fromkeys(goodput.KINDS, 0.0) | seconds})


def test_what_a_later_attempt_repeats_and_the_time_between_are_lost(tmp_path):
    lines = [
        line(100.0, 0, start=2.0),
        line(100.0, 20, start=2.0, compile=3.0, steps=10.0, checkpoint=1.0),
        line(100.0, 35, start=2.0, compile=3.0, steps=17.0, checkpoint=1.0),  # killed at 123, after the save of step 20
        line(130.0, 20, start=4.0),
        line(130.0, 60, start=4.0, compile=0.5, steps=20.0, evaluation=1.5),
    ]
    (tmp_path / goodput.FILE).write_text("\n".join(lines) + "\n")
    found = goodput.read(tmp_path)
    assert found.attempts == 2
    assert found.spent == {
        "steps": 30.0,
        "start": 6.0,
        "compile": 3.5,
        "data": 0.0,
        "checkpoint": 1.0,
        "evaluation": 1.5,
        "repeated": 7.0,
        "between": 7.0,
    }
    assert found.wall == 56.0 == 130.0 + 26.0 - 100.0
    assert found.share == pytest.approx(30.0 / 56.0)
    assert goodput.text_table({"image": found}).splitlines()[0] == (
        "image: 53.6% of 56 s in steps that count, 2 attempts"
    )


def test_an_attempt_that_ended_before_its_first_step_is_lost(tmp_path):
    lines = [line(0.0, 0, start=5.0), line(10.0, 0, start=4.0), line(10.0, 8, start=4.0, steps=6.0)]
    (tmp_path / goodput.FILE).write_text("\n".join(lines))
    found = goodput.read(tmp_path)
    assert (found.wall, found.spent["steps"], found.spent["between"]) == (20.0, 6.0, 5.0)
    assert found.spent["start"] == 9.0


def test_an_incomplete_last_line_is_ignored_and_a_damaged_one_is_told(tmp_path):
    path = tmp_path / goodput.FILE
    path.write_text(line(0.0, 4, steps=3.0) + '\n{"started": 0.0, "st')
    assert goodput.read(tmp_path).wall == 3.0
    goodput.write(tmp_path, goodput.Stopwatch(), 4)  # the next attempt
    assert goodput.read(tmp_path).attempts == 2 and len(path.read_text().splitlines()) == 2
    path.write_text("[]\n" + line(0.0, 4, steps=3.0) + "\n")
    with pytest.raises(UserError, match="line 1 is damaged"):
        goodput.read(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        goodput.read(tmp_path)


def test_the_kinds_add_up_to_the_time_since_the_start(monkeypatch):
    clock = iter([100.0, 103.0, 110.0, 114.0, 130.0])
    monkeypatch.setattr(goodput, "time", SimpleNamespace(time=lambda: 0.0, perf_counter=lambda: next(clock)))
    stopwatch = goodput.Stopwatch()  # at 100
    stopwatch.ready()  # at 103
    with stopwatch.measure("checkpoint"):  # from 110 to 114
        pass
    stopwatch.add("data", 2.0)
    assert stopwatch.seconds() == {  # at 130
        "start": 3.0,
        "compile": 0.0,
        "data": 2.0,
        "checkpoint": 4.0,
        "evaluation": 0.0,
        "steps": 21.0,
    }


def test_a_run_that_is_continued_has_two_attempts(data_dir, tmp_path):
    workdir = tmp_path / "run"
    command = ["train.py", "landmark", "--preset", "debug", "--data", "procedural_faces", "--data-dir", str(data_dir)]
    first = run(*command, "--workdir", str(workdir))
    again = run(*command, "--workdir", str(workdir), "--landmark.steps", "8")
    assert "compilation took" in first.stderr and "from the cache" in again.stderr
    found = goodput.read(workdir / "landmark")
    assert found.attempts == 2 and found.spent["repeated"] == 0.0
    assert 0.0 < found.share < 1.0
    printed = run("-m", "avlgan_jax.training.goodput", str(workdir)).stdout
    assert printed.startswith("landmark: ") and "2 attempts" in printed
