"""Procedural faces: deterministic, with exact landmarks and plausible expressions."""

import hashlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from avlgan_jax.faces import landmarks
from avlgan_jax.faces.emotions import TABLE_II, nearest_expression
from avlgan_jax.faces.procedural import (
    ACTION_UNITS,
    FRAMES_PER_SECOND,
    PHASES,
    action_units,
    dyad,
    render,
    sample_emotion,
    sample_face,
)
from avlgan_jax.faces.procedural import eyes as eyes_module
from avlgan_jax.faces.procedural import mouth as mouth_module

HAPPY, SAD, SURPRISE, FEAR, DISGUST, ANGER, CONTEMPT = (tuple(map(float, row)) for row in TABLE_II[1:])
NEUTRAL = (0.0, 0.0)

_DIGEST = """
import hashlib
from avlgan_jax.faces.procedural import render, sample_face
digest = hashlib.sha256()
for subject, infant in ((3, False), (4, True), (11, False)):
    drawn = render(sample_face(5, subject, 2, infant), -0.5, 0.6, 64)
    digest.update(drawn.image.tobytes() + drawn.landmarks.tobytes() + drawn.landmarks_3d.tobytes())
print(digest.hexdigest())
"""


def _inside(polygon: np.ndarray, size: int) -> np.ndarray:
    """Return the mask of the pixels inside a polygon of landmarks."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint((polygon - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    return mask > 0


def _grid(steps: int) -> list[tuple[float, float]]:
    """Return the points (valence, arousal) of a regular grid that are inside the unit disc."""
    axis = np.linspace(-0.95, 0.95, steps).tolist()
    return [(v, a) for v in axis for a in axis if v * v + a * a < 1.0]


# -- Determinism -------------------------------------------------------------------------------------------------------


def test_every_process_draws_the_same_bytes():
    here = hashlib.sha256()
    for subject, infant in ((3, False), (4, True), (11, False)):
        drawn = render(sample_face(5, subject, 2, infant), -0.5, 0.6, 64)
        here.update(drawn.image.tobytes() + drawn.landmarks.tobytes() + drawn.landmarks_3d.tobytes())
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}
    there = subprocess.run([sys.executable, "-c", _DIGEST], capture_output=True, text=True, check=True, env=environment)
    assert there.stdout.strip() == here.hexdigest()


def test_a_subject_keeps_its_identity_and_changes_its_shot():
    first, second = sample_face(1, 7, 0, False), sample_face(1, 7, 1, False)
    assert first.identity == second.identity and first.shot != second.shot
    assert first.key == (1, 7, 0) and second.key == (1, 7, 1)
    assert sample_face(1, 8, 0, False).identity != first.identity
    assert sample_face(2, 7, 0, False).identity != first.identity
    assert sample_face(1, 7, 0, True).infant and not first.infant


def test_only_the_face_changes_with_emotion():
    for subject in range(6):
        face = sample_face(2, subject, 0, subject == 5)
        images = np.stack([render(face, *emotion, 96).image for emotion in (NEUTRAL, HAPPY, ANGER, SURPRISE)])
        moved = (images != images[0]).any(axis=(0, 3))
        assert not moved[:, :6].any() and not moved[:, -6:].any() and not moved[:24, :12].any()
        assert moved[20:90, 20:76].mean() > 0.2


@pytest.mark.parametrize("resolution", [32, 57, 128, 256])
def test_faces_can_be_drawn_at_every_resolution(resolution):
    drawn = render(sample_face(1, 1, 0, False), *HAPPY, resolution)
    assert drawn.image.shape == (resolution, resolution, 3) and drawn.image.dtype == np.uint8
    assert drawn.landmarks.shape == (68, 2) and drawn.landmarks_3d.shape == (68, 3)
    assert drawn.landmarks.dtype == drawn.landmarks_3d.dtype == np.float32
    assert drawn.image.std() > 20.0
    nose, ear = drawn.landmarks_3d[30, 2], drawn.landmarks_3d[0, 2]
    assert nose > ear + 0.1 * resolution, "depth grows toward the viewer"


def test_bad_arguments_are_refused():
    face = sample_face(0, 0, 0, False)
    for arguments in ((0.0, 0.0, 16), (0.0, 0.0, 512), (1.5, 0.0, 64), (0.0, float("nan"), 64)):
        with pytest.raises(ValueError):
            render(face, *arguments)


# -- Emotions and action units -----------------------------------------------------------------------------------------


def test_emotions_are_distributed_over_the_disc_like_those_of_affectnet():
    generator = np.random.default_rng(0)
    emotions = np.stack([sample_emotion(generator) for _ in range(4000)])
    assert emotions.dtype == np.float32
    assert (np.linalg.norm(emotions, axis=1) < 1.0).all()
    classes = np.bincount(nearest_expression(emotions), minlength=8) / len(emotions)
    assert classes[1] > 0.25 and classes[0] > 0.2, "dense near happy and neutral"
    assert classes.min() > 0.02, "and no expression is missing"
    occupied, _, _ = np.histogram2d(*emotions.T, bins=6, range=[[-1, 1], [-1, 1]])
    assert (occupied[1:5, 1:5] > 0).all()
    again = np.random.default_rng(0)
    np.testing.assert_array_equal(emotions[:5], [sample_emotion(again) for _ in range(5)])


@pytest.mark.parametrize("infant", [False, True])
def test_action_units_are_bounded_and_smooth_and_some_are_monotone(infant):
    for valence, arousal in _grid(15):
        units = action_units(valence, arousal, infant)
        assert set(units) == set(ACTION_UNITS)
        assert all(-1.0 <= value <= 1.5 for value in units.values())
        for dv, da in ((0.01, 0.0), (0.0, 0.01)):
            near = action_units(valence + dv, arousal + da, infant)
            assert max(abs(near[name] - units[name]) for name in units) < 0.12

    def along(name, emotions):
        return np.diff([action_units(v, a, infant)[name] for v, a in emotions])

    axis = np.linspace(-0.95, 0.95, 39).tolist()
    assert (along("AU12", [(v, 0.0) for v in axis]) >= 0.0).all()
    assert (along("AU6", [(v, 0.0) for v in axis if v > 0]) >= 0.0).all()
    assert (along("AU15", [(v, -0.2) for v in axis]) <= 0.0).all()
    assert (along("AU5", [(0.2, a) for a in axis]) >= 0.0).all()
    assert (along("AU43", [(0.2, a) for a in axis]) <= 0.005).all()
    assert (along("AU25", [(0.3, a) for a in axis if a > 0]) >= 0.0).all()


@pytest.mark.parametrize("infant", [False, True])
def test_distant_emotions_have_different_action_units(infant):
    points = np.array(_grid(11))
    units = np.array([list(action_units(v, a, infant).values()) for v, a in points.tolist()])
    apart = np.linalg.norm(points[:, None] - points, axis=-1) > 0.25
    distance = np.linalg.norm(units[:, None] - units, axis=-1)
    assert distance[apart].min() > 0.06


def test_expressions_follow_facs():
    def units(emotion, infant=False):
        return action_units(*emotion, infant)

    neutral = units(NEUTRAL)
    assert max(neutral[name] for name in neutral if name.startswith("AU")) < 0.15
    assert units(HAPPY)["AU12"] > 0.6 and units(HAPPY)["AU6"] > 0.4
    assert units(SAD)["AU15"] > 0.5 and units(SAD)["AU1"] > 0.4
    assert min(units(SURPRISE)[name] for name in ("AU1", "AU2", "AU5", "AU26")) > 0.5
    assert min(units(FEAR)[name] for name in ("AU1", "AU4", "AU5", "AU20")) > 0.5
    assert min(units(ANGER)[name] for name in ("AU4", "AU7")) > 0.5 and units(ANGER)["AU1"] < 0.3
    assert units(DISGUST)["AU9"] > 0.6 and units(DISGUST)["AU10"] > 0.6
    assert units(CONTEMPT)["AU14"] > 0.6 > units(ANGER)["AU14"]
    distress = units((-0.8, 0.5), infant=True)
    assert distress["AU43"] > 0.8 and distress["AU19"] > 0.4 and distress["tears"] > 0.3
    assert units((-0.8, 0.5))["AU43"] < 0.3, "a distressed adult does not shut the eyes"


@pytest.mark.parametrize("infant", [False, True])
def test_a_frown_lowers_whole_brows_and_draws_them_together(infant):
    """The corrugator and the depressors of FACS's AU4; brows that turn about their outer ends are a mask of anger."""
    face = sample_face(5, 3, 0, infant)
    rest, angry = (render(face, *emotion, 64).landmarks for emotion in (NEUTRAL, ANGER))
    brows = landmarks.GROUPS["right_brow"], landmarks.GROUPS["left_brow"]
    for brow in brows:
        lowered = angry[brow, 1] - rest[brow, 1]
        assert lowered.min() > 0.25 * lowered.max() > 0.0
    assert angry[22, 0] - angry[21, 0] < rest[22, 0] - rest[21, 0]


# -- Landmarks ---------------------------------------------------------------------------------------------------------


def test_landmarks_stay_inside_the_image():
    extremes = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.34, 0.94), (-0.5, 0.86), (-0.85, 0.5), (0.7, 0.7)]
    for subject in range(96):
        face = sample_face(4, subject, 0, subject % 3 == 0)
        points = render(face, *extremes[subject % len(extremes)], 32).landmarks
        assert points.min() > 0.6 and points.max() < 31.4


def test_landmarks_scale_with_the_resolution():
    for subject in range(4):
        face = sample_face(0, subject, 0, subject == 3)
        small, large = render(face, *FEAR, 64), render(face, *FEAR, 128)
        np.testing.assert_allclose(large.landmarks, 2.0 * small.landmarks, atol=1e-3)
        np.testing.assert_allclose(large.landmarks_3d, 2.0 * small.landmarks_3d, atol=1e-3)
        np.testing.assert_array_equal(small.landmarks, small.landmarks_3d[:, :2])
        coarse = [cv2.resize(d.image, (16, 16), interpolation=cv2.INTER_AREA).astype(float) for d in (small, large)]
        assert np.abs(coarse[0] - coarse[1]).mean() < 2.5


def test_lips_are_inside_their_landmarks():
    for subject in range(12):
        drawn = render(sample_face(6, subject, 0, subject % 4 == 3), *NEUTRAL, 192)
        colour, points = drawn.image.astype(float), drawn.landmarks
        lips = _inside(points[48:60], 192)
        ring = cv2.dilate(lips.astype(np.uint8), np.ones((3, 3)), iterations=9) > 0
        ring &= cv2.dilate(lips.astype(np.uint8), np.ones((3, 3)), iterations=4) == 0
        ring[: int(points[33, 1]) + 4] = False
        inside, outside = colour[lips].mean(axis=0), colour[ring].mean(axis=0)
        assert inside[0] / inside[1] > 1.04 * outside[0] / outside[1], "lips are redder than the skin around them"


def test_an_open_mouth_is_dark_between_its_inner_landmarks():
    for subject in range(12):
        infant = subject % 3 == 0
        drawn = render(sample_face(6, subject, 0, infant), *SURPRISE, 192)
        grey, points = drawn.image.mean(axis=-1), drawn.landmarks
        mouth = points[60:68]
        centre = mouth.mean(axis=0)
        hole = _inside(centre + 0.8 * (mouth - centre), 192)
        cheek = grey[int(points[30, 1]), int(0.5 * (points[2, 0] + points[31, 0]))]
        assert hole.sum() > 100
        assert np.percentile(grey[hole], 20) < 0.6 * cheek


def test_adults_show_teeth_and_infants_do_not():
    def whiteness(infant, subject):
        drawn = render(sample_face(6, subject, 0, infant), 0.75, 0.45, 192)
        mouth = _inside(drawn.landmarks[60:68], 192)
        colour = drawn.image[mouth].astype(float)
        return np.percentile(colour[:, 1] / colour[:, 0].clip(1.0), 90)

    adults, infants = ([whiteness(infant, subject) for subject in range(8)] for infant in (False, True))
    assert min(adults) > 0.72 > max(infants), "teeth are white, gums and tongue are red"


def test_closed_lids_are_at_their_landmarks():
    for subject in range(8):
        drawn = render(sample_face(6, subject, 0, subject % 4 == 0), 0.05, -0.98, 192)
        points, grey = drawn.landmarks, drawn.image.mean(axis=-1)
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            assert np.linalg.norm(points[upper] - points[lower]) < 2.0
            x, y = np.rint(0.5 * (points[upper] + points[lower]) - 0.5).astype(int)
            column = grey[y - 8 : y + 9, x]
            assert abs(int(column.argmin()) - 8) <= 3, "the lash line is the darkest of the column"


def test_open_eyes_are_inside_their_landmarks():
    for subject in range(8):
        drawn = render(sample_face(6, subject, 0, subject % 4 == 0), *SURPRISE, 192)
        for eye in (landmarks.GROUPS["right_eye"], landmarks.GROUPS["left_eye"]):
            inside = drawn.image[_inside(drawn.landmarks[eye], 192)].astype(float)
            spread = inside.mean(axis=-1)
            assert np.percentile(spread, 95) > 1.8 * np.percentile(spread, 10), "white and pupil"


def test_outlines_pass_through_their_landmarks():
    points = render(sample_face(0, 3, 0, False), *HAPPY, 128).landmarks.astype(float)
    upper, lower = eyes_module.lids(points)
    for index, line in ((37, upper[0]), (38, upper[0]), (43, upper[1]), (41, lower[0]), (36, upper[0]), (46, lower[1])):
        assert np.linalg.norm(line - points[index], axis=-1).min() < 1e-6
    outer, inner = mouth_module.edges(points[48:68], 0.2)
    assert all(np.linalg.norm(outer - points[k], axis=-1).min() < 1e-6 for k in range(48, 60))
    assert all(np.linalg.norm(inner - points[k], axis=-1).min() < 1e-6 for k in range(60, 68))


def test_the_jaw_is_the_edge_of_the_face():
    """A lowered jaw covers the neck: in the column of the chin, pixels change down to the lower chin and not below."""
    for subject in range(6):
        face = sample_face(8, subject, 0, subject == 0)
        closed, opened = render(face, *NEUTRAL, 192), render(face, *SURPRISE, 192)
        changed = np.abs(closed.image.astype(int) - opened.image).max(axis=-1) > 8
        column = changed[:, int(opened.landmarks[8, 0])]
        assert opened.landmarks[8, 1] > closed.landmarks[8, 1] + 4.0
        assert abs(np.flatnonzero(column).max() - opened.landmarks[8, 1]) < 4.0


def test_infants_have_infant_proportions():
    def proportions(infant):
        rows = []
        for subject in range(20):
            points = render(sample_face(0, subject, 0, infant), *NEUTRAL, 32).landmarks
            jaw = points[:17]
            face_height = jaw[8, 1] - points[17:27, 1].mean()
            width = np.linalg.norm(jaw[0] - jaw[16])
            eye = np.linalg.norm(points[37] - points[41]) + np.linalg.norm(points[43] - points[47])
            rows.append((face_height / width, eye / face_height, points[36:48, 1].mean() / 32))
        return np.mean(rows, axis=0)

    (tall, eye, level), (adult_tall, adult_eye, adult_level) = proportions(True), proportions(False)
    assert tall < 0.85 * adult_tall, "a rounder face"
    assert eye > 1.3 * adult_eye, "larger eyes"
    assert level > adult_level + 0.03, "which are lower in the image"


# -- Information about the label ---------------------------------------------------------------------------------------


def test_no_single_coordinate_or_pixel_reveals_the_label_but_all_together_do():
    generator = np.random.default_rng(3)
    count, trained = 700, 550
    emotions = np.stack([sample_emotion(generator) for _ in range(count)])
    drawn = [render(sample_face(12, k, 0, k % 20 == 0), *emotion, 48) for k, emotion in enumerate(emotions.tolist())]
    points = np.stack([d.landmarks.ravel() for d in drawn]) / 48.0
    pixels = np.stack([cv2.resize(d.image, (16, 16), interpolation=cv2.INTER_AREA).ravel() for d in drawn]) / 255.0
    for axis in range(2):
        label = emotions[:, axis]
        assert max(abs(np.corrcoef(column, label)[0, 1]) for column in points.T) < 0.8
        assert max(abs(np.corrcoef(column, label)[0, 1]) for column in pixels.T) < 0.6
    features = np.concatenate([3.0 * points, pixels], axis=1)
    features -= features[:trained].mean(axis=0)
    gram = features[:trained].T @ features[:trained] + 0.3 * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features[:trained].T @ emotions[:trained])
    guess = features[trained:] @ weights
    for axis in range(2):
        assert np.corrcoef(guess[:, axis], emotions[trained:, axis])[0, 1] > 0.8


# -- Dyads -------------------------------------------------------------------------------------------------------------


def test_a_dyad_passes_through_all_phases_of_the_still_face_paradigm():
    pair = dyad(0, 3, 24.0)
    assert len(pair) == 24 * FRAMES_PER_SECOND
    assert [int(p) for p in np.unique(pair.phases)] == list(range(len(PHASES)))
    assert (np.diff(pair.phases) >= 0).all()
    assert not pair.mother.infant and pair.infant.infant
    for track in (pair.mother_emotions, pair.infant_emotions):
        assert track.shape == (len(pair), 2) and track.dtype == np.float32
        assert (np.linalg.norm(track, axis=1) <= 1.0).all()
        assert np.abs(np.diff(track, axis=0)).max() < 0.08, "no jumps between frames"
    for poses in (pair.mother_poses, pair.infant_poses):
        assert np.abs(np.diff(poses, axis=0)).max() < np.radians(2.0)
    assert pair.mother_at(5).identity == pair.mother_at(600).identity == pair.mother.identity
    assert pair.infant_at(5).shot.yaw != pair.infant_at(600).shot.yaw
    again = dyad(0, 3, 24.0)
    np.testing.assert_array_equal(pair.infant_emotions, again.infant_emotions)
    assert pair.infant_at(9) == again.infant_at(9)


def test_infants_become_distressed_in_the_still_face_phase():
    pairs = [dyad(1, index, 18.0) for index in range(6)]

    def mean(role, phase):
        return np.mean([getattr(p, f"{role}_emotions")[p.phases == phase].mean(axis=0) for p in pairs], axis=0)

    assert mean("infant", 0)[0] > 0.3 and mean("infant", 1)[0] < -0.3
    assert mean("infant", 1)[0] < mean("infant", 2)[0] < mean("infant", 0)[0], "distress lingers in the reunion"
    assert np.abs(mean("mother", 1)).max() < 0.2 and mean("mother", 0)[0] > 0.4
    with pytest.raises(ValueError):
        dyad(0, 0, 0.05)


def test_frames_of_a_dyad_can_be_drawn():
    pair = dyad(0, 0, 3.0)
    first, second = (render(pair.infant_at(k), *pair.infant_emotions[k].tolist(), 48) for k in (40, 41))
    assert np.abs(first.landmarks - second.landmarks).max() < 1.0
    assert (first.image != second.image).any(), "each frame has camera noise of its own"


# -- The command -------------------------------------------------------------------------------------------------------


def _command(*arguments: str) -> subprocess.CompletedProcess:
    """Run `python -m avlgan_jax.faces.procedural`."""
    return subprocess.run(
        [sys.executable, "-m", "avlgan_jax.faces.procedural", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_writes_a_contact_sheet(tmp_path):
    out = tmp_path / "sheet.png"
    done = _command(str(out), "--adults", "1", "--infants", "1", "--resolution", "32")
    assert done.returncode == 0, done.stderr
    assert "faces/s" in done.stdout
    assert cv2.imread(str(out)).shape == (24 + 2 * 32, 8 * 32, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_the_command_reports_an_invalid_resolution_and_a_missing_folder(tmp_path):
    done = _command(str(tmp_path / "sheet.png"), "--resolution", "8")
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
    done = _command(str(tmp_path / "missing" / "sheet.png"))
    assert done.returncode == 2 and "missing" in done.stderr
    assert not list(tmp_path.iterdir())
