"""The benchmark command at its smallest sizes: it runs, alternates the contenders and reports its measurements."""

import functools
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, run

from benchmarks import scale, timing
from benchmarks.run import PARTS


def _run(tmp_path, *parts: str) -> tuple[dict, str]:
    """Run parts of the benchmark with --tiny; return the content of its JSON file and the printed table."""
    command = [sys.executable, "-m", "benchmarks.run", "--tiny", "--device", "cpu", "--out", str(tmp_path / "out.json")]
    # Two devices, as on two cores. The tiny batch is not a multiple of the suite's four.
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run([*command, "--what", *parts], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads((tmp_path / "out.json").read_text()), done.stdout


def test_contenders_take_turns_after_a_warm_up():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) for name in ("ours", "theirs")}
    measured = timing.alternate(contenders, rounds=3, unit="images/s", items=5)
    assert calls[:2] == ["ours", "theirs"] and calls[-6:] == ["ours", "theirs"] * 3
    assert all(m.low <= m.median <= m.high and m.rounds == 3 for m in measured.values())


def test_without_rounds_each_contender_is_called_once():
    calls = []
    contenders = {"ours": lambda: calls.append("ours"), "theirs": lambda: calls.append("theirs")}
    measured = timing.alternate(contenders, rounds=timing.Setting("cpu", False, compiles=True).rounds, unit="s")
    assert calls == ["ours", "theirs"] and measured["ours"].median == measured["ours"].first > 0


def test_a_warm_up_goes_on_while_calls_take_new_memory():
    kept = []

    def call():
        if len(kept) < 5:
            kept.append(b"x" * 2**26)  # 16,384 pages of 4 kB

    assert timing.warm_up(call) == 5 + 3
    assert timing.warm_up(lambda: kept.append(b"x" * 2**26)) == 24  # never warm


def test_processes_that_wait_for_each_other_make_the_same_calls():
    """Their number does not depend on the memory that a process takes."""
    for pages in (0, 2**26):
        kept = []
        timing.alternate({"ours": lambda k=kept, p=pages: k.append(b"x" * p)}, rounds=2, unit="s", warm_up_calls=4)
        assert len(kept) == 1 + 4 + 2


def test_a_ratio_says_how_many_times_faster_ours_is():
    fast, slow = timing.single(1.0, "images/s", 10.0), timing.single(2.0, "images/s", 10.0)
    assert (fast.median, slow.median) == (10.0, 5.0)
    assert timing.ratio(fast, slow) == 2.0
    assert timing.ratio(timing.single(1.0, "s"), timing.single(2.0, "s")) == 2.0


def test_training_steps_are_compared_with_pytorch(tmp_path):
    """The landmark converter, which compiles in seconds; `test_every_part_runs` covers the image models.

    test_pytorch_reference.py checks that both sides compute the same.
    """
    found, table = _run(tmp_path, "peaks", "landmark")
    assert found["machine"]["versions"].keys() >= {"jax", "torch"} and found["machine"]["cores"] >= 1
    (landmark,) = found["parts"]["landmark"].values()
    measured = landmark["measured"]
    assert measured.keys() == {"ours", "ours, 2 runs at once", "pytorch eager", "pytorch best"}
    for each in measured.values():
        assert 0 < each["low"] <= each["median"] <= each["high"] and each["unit"] == "steps/s"
    assert landmark["faster"]["pytorch best"] == pytest.approx(
        measured["ours"]["median"] / measured["pytorch best"]["median"]
    )
    assert landmark["facts"]["2 runs over the time of one"] > 0
    assert "ours is" in table and "steps/s" in table


def test_the_curve_on_paper_adds_computing_and_sums():
    rates = scale.Assumptions(flops=1e12, batch=10, per_host=4, inside=1e9, between=1e8, batches=100, disk=1e6)
    paper = functools.partial(scale.on_paper, rates, work=1e10, gradients=1e7, stored=3e6, image=1e4)
    inside, between = paper(4), paper(8)  # both compute for 0.1 s
    assert inside["images/s"] == pytest.approx(40 / (0.1 + 2 * 0.75 * 0.01))
    assert between["images/s"] == pytest.approx(80 / (0.1 + 2 * 0.875 * 0.1))
    assert inside["of linear scaling, %"] == pytest.approx(100 * 0.1 / 0.115)
    assert between["threads per host for batches"] == pytest.approx(between["images/s"] / 2 / 100)
    assert between["MB/s of images per host"] == pytest.approx(between["images/s"] / 2 * 0.01)
    assert between["s to write a checkpoint"] == 3.0


@pytest.mark.slow
@pytest.mark.parametrize("part", sorted(set(PARTS) - {"peaks", "landmark"}))
def test_every_part_runs(tmp_path, part):
    found, table = _run(tmp_path, part)
    assert len(found["parts"][part]) >= 1
    for name, case in found["parts"][part].items():
        assert name in table
        for measured in case["measured"].values():
            assert measured["median"] > 0
        for fact, value in case["facts"].items():
            assert value > 0 or (value == 0 and "page faults" in fact)


@pytest.mark.slow
def test_both_precisions_are_trained_and_printed(trained_run, tmp_path):
    folder, _, _ = trained_run
    copied = tmp_path / "run"
    shutil.copytree(folder, copied)
    few = ["--steps", "4", "--seeds", "2", "--samples", "8", "--out", str(tmp_path / "out.json")]
    printed = run("-m", "benchmarks.precision", "--workdir", str(copied), *few).stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert {"RMSE", "PCC of valence", "PSNR to the truth, dB", "g/emotion"} <= found.keys()
    for name, by_precision in found.items():
        assert name in printed and by_precision.keys() == {"float32", "bfloat16"}
        assert all(len(values) == 2 for values in by_precision.values())
    assert found["g/emotion"]["float32"] != found["g/emotion"]["bfloat16"], "bfloat16 was not used"


@pytest.mark.slow
def test_the_edit_of_a_large_photograph_is_timed_by_part():
    printed = run("-m", "benchmarks.megapixels", "--width", "640", "--landmarks", "dlib", "--rounds", "1").stdout
    assert "640 x 480 pixels, landmarks of dlib" in printed and "largest memory" in printed
    for part in ("read", "find the face", "networks", "blend", "JPEG", "all"):
        assert f"  {part}: " in printed


def test_a_missing_gpu_is_a_one_line_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--device", "gpu", "--out", str(tmp_path / "x.json")],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "--device gpu: JAX finds cpu only" in done.stderr
    assert not list(tmp_path.iterdir())
