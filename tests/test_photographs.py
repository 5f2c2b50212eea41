"""The measurements of edited photographs. Only the last test needs MediaPipe's file."""

import json

import drawn_photographs as drawn
import numpy as np
import pytest
from conftest import run_here

from avlgan_jax.faces.detectors import mediapipe, mediapipe_points
from benchmarks import expressions, gains, photographs


def _seen(mesh: np.ndarray, **scores: float) -> expressions.Seen:
    values = np.zeros(52)
    for name, value in scores.items():
        values[mediapipe_points.BLENDSHAPES.index(name)] = value
    return expressions.Seen(mesh, values, None)


@pytest.fixture
def mesh():
    return np.random.default_rng(0).uniform(20.0, 80.0, (478, 3))


@pytest.mark.parametrize("degrees", [0.0, 5.0, 90.0])
def test_the_turn_of_a_head_is_its_angle_whatever_its_place_and_axis(mesh, degrees):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    assert expressions.turn(_seen(mesh), _seen(mesh @ rotation.T + 7.0)) == pytest.approx(degrees, abs=1e-4)


def test_an_expression_is_no_turn(mesh):
    moved = mesh.copy()
    moved[list(set(range(478)) - set(expressions.RIGID))] += 5.0
    assert expressions.turn(_seen(mesh), _seen(moved)) == pytest.approx(0.0, abs=1e-4)


def test_the_outline_holds_the_faces_before_and_after_and_the_margin_that_moves(mesh):
    mesh[[33, 263], :2] = [[40.0, 50.0], [50.0, 50.0]]  # a margin of two pixels, and two for interpolation
    after = mesh + np.array([10.0, 0.0, 0.0])
    mask = expressions.outline((100, 110, 3), _seen(mesh), _seen(after))
    for points in (mesh, after):
        x, y = points[:, :2].astype(int).T
        assert mask[y, x].all()
    assert not mask[:15].any() and not mask[:, 95:].any()


def test_lightness_is_read_from_the_skin(mesh):
    photo = np.zeros((100, 100, 3), np.uint8)
    assert expressions.luminance(photo, _seen(mesh)) == pytest.approx(0.0)
    assert expressions.luminance(photo + np.uint8(255), _seen(mesh)) == pytest.approx(100.0, abs=0.1)


def test_the_targets_have_the_direction_of_table_ii_and_two_intensities():
    targets = photographs.targets()
    assert len(targets) == 14
    for (_, size), point in targets.items():
        assert np.linalg.norm(point) == pytest.approx(size)
    assert targets["happy", 0.7][0] > 0.6 and targets["sad", 0.35][0] < -0.3


def _face(expression: str, light: float, gain: float) -> dict:
    """Return the measurements of a face whose blendshapes all gain, half as much at half the intensity."""
    names = [name for _, name in gains.MARKS]

    def edit(size: float) -> dict:
        change = {"found": True, "identity": 0.2, "turn": 1.0, "changed_outside": 0.0, "rmse_outside": 0.0}
        before, after = (dict.fromkeys(names, value) for value in (0.1, 0.1 + gain * size))
        return change | {"before": before, "after": after}

    return {
        "luminance": light,
        "expression": expression,
        "expressions": {
            name: {"0.7": edit(1.0), "0.35": edit(0.5)} for name in ("happy", "sad", "surprise", "anger", "fear")
        },
        "sweeps": {"valence": list(gains.STEPS), "arousal": [0.5] * 11},
    }


def test_the_summary_has_gains_of_neutral_faces_and_linearity_of_all():
    faces = [_face("neutral", 30.0, 0.4), _face("neutral", 60.0, 0.6), _face("happy", 90.0, 0.0)]
    summary = gains.summarise(faces)
    smile = summary["gains"]["happy mouthSmile"]
    means = {key: value["mean"] for key, value in smile.items() if key != "mark"}
    assert means == pytest.approx({"before": 0.1, "gain": 0.5, "reached_by": 0.5, "half_of_gain": 0.5})
    assert smile["gain"]["interval"] == pytest.approx([0.4, 0.6])  # the one face, or the other
    assert smile["half_of_gain"]["interval"] == pytest.approx([0.5, 0.5])
    valence = {key: value["mean"] for key, value in summary["sweeps"]["valence"].items()}
    assert valence == pytest.approx({"pearson": 1.0, "monotone": 1.0, "range": 1.4})
    assert summary["sweeps"]["arousal"]["pearson"]["mean"] == 0.0  # nothing moves
    assert summary["identity"]["mean"] == pytest.approx(0.2) and summary["lost"] == 0
    text = gains.table({"all": summary}, {"happy mouthSmile": 0.625})
    assert "happy mouthSmile: gain (mark 0.5; others 0.62)" in text and "0.50 [0.40, 0.60] from 0.10" in text
    assert "sad mouthFrown: gain (mark 0.1; others -)" in text  # the data has no such photograph


def test_an_interval_is_narrower_the_more_faces_there_are():
    def width(count: int) -> float:
        faces = [_face("neutral", 50.0, gain) for gain in np.linspace(0.0, 1.0, count)]
        low, high = gains.summarise(faces)["gains"]["happy mouthSmile"]["gain"]["interval"]
        return high - low

    # The standard error of the mean of n uniform values is 1 / sqrt(12 n); the interval is 3.92 times as wide.
    assert width(100) == pytest.approx(3.92 / np.sqrt(1200.0), rel=0.1)
    assert width(25) > 1.7 * width(100)


def test_faces_are_grouped_by_the_lightness_of_their_skin():
    groups = gains.by_tone([_face("neutral", light, 0.5) for light in (80, 20, 50, 60, 30, 90)])
    assert list(groups) == ["dark, L* 20 to 30", "middle, L* 50 to 60", "light, L* 80 to 90"]
    assert all(group["faces"] == 2 for group in groups.values())


@pytest.mark.filterwarnings("error")
def test_few_faces_make_fewer_groups_and_a_group_may_have_no_neutral_face():
    groups = gains.by_tone([_face("happy", 20, 0.5), _face("neutral", 80, 0.5)])
    assert [(name.split(",")[0], group["neutral"]) for name, group in groups.items()] == [("dark", 0), ("middle", 1)]
    text = gains.table(groups, {})
    assert "- from -" in text and "0.50 from 0.10" in text and "nan" not in text
    assert json.loads(json.dumps(groups, allow_nan=False)) == groups


def test_faces_that_are_lost_after_every_edit_leave_no_numbers():
    face = _face("neutral", 50.0, 0.5)
    for sizes in face["expressions"].values():
        sizes["0.7"] = {"found": False}
    face["sweeps"]["valence"][3] = None
    summary = gains.summarise([face])
    assert summary["lost"] == 5 and summary["turn"] == {"mean": None, "interval": None}
    assert summary["sweeps"]["valence"]["pearson"]["mean"] is None


def test_an_edit_that_loses_the_face_is_counted():
    faces = [_face("neutral", 30.0, 0.4), _face("neutral", 60.0, 0.6)]
    faces[0]["expressions"]["happy"]["0.7"] = {"found": False}
    summary = gains.summarise(faces)
    assert summary["lost"] == 1 and summary["gains"]["happy mouthSmile"]["gain"]["mean"] == pytest.approx(0.6)


def test_the_command_measures_how_emotions_are_read(tmp_path):
    drawn.diffusion_fer(tmp_path / "faces", 12)
    done = run_here("benchmarks.readings", tmp_path / "faces", "--weights", "faces64")
    assert done.returncode == 0, done.stderr
    rows = [line.split(maxsplit=3) for line in done.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows[::4]] == [
        [name, "rmse_valence"] for name in ("discriminator", "regressor", "constant")
    ]
    values = np.array([row[2] for row in rows], float).reshape(3, 4)
    assert (values[:, :2] > 0.0).all() and (values[2, 2:] == 0.0).all()


@pytest.mark.slow
@pytest.mark.skipif(not mediapipe.model_path().is_file(), reason="face_landmarker.task is not on this machine")
def test_the_command_measures_drawn_faces(tmp_path):
    drawn.diffusion_fer(tmp_path / "faces", 12)
    out, sheet = tmp_path / "out.json", tmp_path / "sheet.png"
    options = ["--faces", "3", "--out", out, "--sheet", sheet]
    done = run_here("benchmarks.photographs", tmp_path / "faces", *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["groups"]["all"]["faces"] >= 1 and sheet.stat().st_size > 1000
    assert "identity" in done.stdout
    astronaut = found["groups"]["astronaut"]
    assert astronaut["gains"]["surprise jawOpen"]["gain"]["mean"] > 0.2
    assert astronaut["changed_outside"]["mean"] < 1e-4  # her background
