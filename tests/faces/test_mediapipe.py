"""MediaPipe's face landmarker. Tests that need its file run where AVLGAN_MEDIAPIPE or the user's cache has it."""

import itertools
import shutil

import numpy as np
import pytest
from conftest import run_here
from PIL import Image

from avlgan_jax.errors import UserError
from avlgan_jax.faces import detectors, landmarks
from avlgan_jax.faces.detectors import mediapipe, mediapipe_points
from avlgan_jax.faces.detectors import mediapipe_geometry as geometry

MODEL = mediapipe.model_path()
with_file = pytest.mark.skipif(not MODEL.is_file(), reason="face_landmarker.task is not on this machine")


@pytest.fixture(scope="module")
def detector():
    return mediapipe.Mediapipe()


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def _square(angle: float = 0.3) -> geometry.TurnedSquare:
    return geometry.TurnedSquare(np.array([120.0, 90.0]), 80.0, angle)


# The file


def test_the_error_for_a_missing_file_says_where_it_comes_from_and_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.delenv(mediapipe.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError) as caught:
        detectors.fetch("mediapipe")
    message = str(caught.value)
    for words in (str(tmp_path / "avlgan_jax" / mediapipe.FILE), mediapipe.ADDRESS, "AVLGAN_MEDIAPIPE", "dlib"):
        assert words in message
    assert "\n" not in message


def test_the_environment_variable_has_the_path_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(mediapipe.VARIABLE, str(tmp_path / "here.task"))
    with pytest.raises(UserError, match=r"here\.task is missing"):
        detectors.create("mediapipe")


def test_photographs_use_it_where_its_file_is_and_dlib_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv(mediapipe.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert detectors.for_photographs("auto") == "dlib"
    assert detectors.for_photographs("fan") == "fan"
    (tmp_path / "avlgan_jax").mkdir()
    (tmp_path / "avlgan_jax" / mediapipe.FILE).write_bytes(b"")
    assert detectors.for_photographs("auto") == "mediapipe"
    # A file that is stated but missing is told, not passed over.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv(mediapipe.VARIABLE, str(tmp_path / "gone.task"))
    assert detectors.for_photographs("auto") == "mediapipe"


def test_without_a_program_for_its_networks_photographs_use_dlib(tmp_path, monkeypatch):
    monkeypatch.setenv(mediapipe.VARIABLE, str(tmp_path / "there.task"))
    monkeypatch.setattr(mediapipe.importlib.util, "find_spec", lambda name: None)
    assert detectors.for_photographs("auto") == "dlib"


def test_a_damaged_file_is_a_user_error(tmp_path, monkeypatch):
    path = tmp_path / mediapipe.FILE
    path.write_bytes(b"PK\x03\x04 cut off")
    monkeypatch.setenv(mediapipe.VARIABLE, str(path))
    with pytest.raises(UserError, match=rf"expected {mediapipe.SHA256[:12]}.*download it again from https://"):
        detectors.create("mediapipe")


@with_file
def test_a_file_that_is_cut_off_or_changed_is_refused(tmp_path, monkeypatch):
    content = MODEL.read_bytes()
    path = tmp_path / mediapipe.FILE
    monkeypatch.setenv(mediapipe.VARIABLE, str(path))
    for damaged in (content[:-1000], content[:5000] + b"\0" + content[5001:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged, or another version"):
            detectors.fetch("mediapipe")


def test_mediapipe_has_no_options():
    with pytest.raises(UserError, match="--landmarks mediapipe-2: mediapipe has no options.*AVLGAN_MEDIAPIPE"):
        detectors.fetch("mediapipe-2")


def test_without_an_interpreter_the_error_names_litert(monkeypatch):
    mediapipe._interpreter.cache_clear()
    for module in ("ai_edge_litert", "ai_edge_litert.interpreter", "tensorflow"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        mediapipe._interpreter()
    assert caught.value.name.startswith("ai_edge_litert")
    mediapipe._interpreter.cache_clear()


def test_a_missing_file_is_one_line_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setenv(mediapipe.VARIABLE, str(tmp_path / "no.task"))
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save("me.png")
    done = run_here("synthesize.py", "edit", str(tmp_path / "me.png"), "--emotion", "sad", "--landmarks", "mediapipe")
    assert done.returncode == 2 and "no.task is missing" in done.stderr and "Traceback" not in done.stderr


# Windows, boxes and squares


def test_the_detector_has_896_anchors_in_two_layers():
    anchors = geometry.anchors()
    assert anchors.shape == (896, 2)
    np.testing.assert_allclose(anchors[[0, 1, 2]], [[1 / 32, 1 / 32], [1 / 32, 1 / 32], [3 / 32, 1 / 32]])
    np.testing.assert_allclose(anchors[[511, 512, 517, 518]] * 16, [[15.5, 15.5], [1, 1], [1, 1], [3, 1]])


def test_decoding_adds_the_anchor_and_drops_low_scores():
    regressors, logits = np.zeros((896, 16), np.float32), np.full(896, -1000.0, np.float32)
    logits[[5, 700]] = 3.0, -0.1
    regressors[5, :4] = 2.0, -1.0, 20.0, 10.0
    regressors[5, 4:6] = 3.0, 4.0
    found = geometry.decode(regressors, logits)
    centre = geometry.anchors()[5] * 128
    np.testing.assert_allclose(found.boxes, [np.tile(centre, 2) - (8, 6, -12, -4)])
    np.testing.assert_allclose(found.keypoints[0, :2] - centre, [[3, 4], [0, 0]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-3.0))])


def test_suppression_averages_the_boxes_of_one_face_by_score():
    boxes = np.array([[0.0, 0, 10, 10], [100, 0, 110, 10], [1, 0, 11, 10]])
    found = geometry.Detections(boxes, np.zeros((3, 6, 2)) + boxes[:, None, :2], np.array([0.6, 0.9, 0.8]))
    kept = geometry.suppress(found)
    np.testing.assert_allclose(kept.scores, [0.9, 0.8])
    np.testing.assert_allclose(kept.boxes[1], [0.8 / 1.4, 0, 10 + 0.8 / 1.4, 10])
    np.testing.assert_allclose(kept.keypoints[1, 0], [0.8 / 1.4, 0])
    empty = geometry.suppress(geometry.Detections(np.zeros((0, 4)), np.zeros((0, 6, 2)), np.zeros(0)))
    assert empty.boxes.shape == (0, 4) and empty.keypoints.shape == (0, 6, 2)


@pytest.mark.parametrize("shape", [(224, 224), (64, 40), (3000, 4000), (1, 500)])
def test_windows_cover_the_image_and_convert_to_its_pixels(shape):
    """A ramp tells from the colour of a pixel of a window where in the image it comes from."""
    height, width = shape
    ramp = np.stack(np.broadcast_arrays(*np.ogrid[: 200 : height * 1j, 40 : 240 : width * 1j], 255), axis=-1)
    image = ramp.astype(np.uint8)
    for level in range(geometry.LEVELS):
        covered = np.zeros(shape, bool)
        for window, scale, (left, top) in geometry.windows(image, level):
            assert window.shape == (128, 128, 3)
            low = np.maximum(np.round([left, top]), 0).astype(int)
            high = np.round(np.array([left, top]) + 128 * scale).astype(int)
            covered[low[1] : high[1], low[0] : high[0]] = True
            y, x = (int(k) for k in np.argwhere(window[..., 2] > 250).mean(axis=0).round())
            there = (np.array([x, y]) + 0.5) * scale + [left, top]
            inside = (there / [width, height]).clip(0, 1)
            want = np.array([40 + 200 * inside[0], 200 * inside[1]])
            if min(shape) > 1:
                np.testing.assert_allclose(window[y, x, 1::-1], want, atol=6)
        assert covered.all() or level  # a small image has no windows of the further levels


def test_a_turned_square_converts_points_back_and_forth():
    points = np.random.default_rng(0).uniform(0, 200, (50, 2))
    square = _square()
    np.testing.assert_allclose(square.to_image(square.to_square(points)), points)
    np.testing.assert_allclose(square.to_square(square.centre), [0.5, 0.5])
    down = geometry.TurnedSquare(np.zeros(2), 2.0, np.pi / 2)  # turned clockwise by 90 degrees: its right is down
    np.testing.assert_allclose(down.to_image(np.array([1.0, 0.5])), [0.0, 1.0], atol=1e-12)


def test_squares_are_near_if_they_show_a_face_alike():
    square = _square(np.pi)
    assert square.is_near(geometry.TurnedSquare(square.centre + 2.0, 82.0, -np.pi + 0.05))
    for other in (_square(3.0), geometry.TurnedSquare(square.centre + 9.0, 80.0, np.pi)):
        assert not square.is_near(other)
    assert not square.is_near(geometry.TurnedSquare(square.centre, 95.0, np.pi))


def test_the_square_of_a_turned_face_has_level_eyes():
    keypoints = np.zeros((6, 2))
    keypoints[:2] = [[100, 100], [120, 120]]
    square = geometry.square_of_box(np.array([80.0, 80, 140, 160]), keypoints)
    assert square.angle == pytest.approx(np.pi / 4) and square.side == pytest.approx(120)
    right, left = square.to_square(keypoints[:2])
    assert right[1] == pytest.approx(left[1]) and right[0] < left[0]


@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
@pytest.mark.parametrize("side", [60.0, 700.0])
def test_a_cut_square_shows_the_pixels_of_its_points(angle, side):
    columns, rows = np.meshgrid(np.arange(900), np.arange(800))
    image = np.stack([columns * 255 / 900, rows * 255 / 800, 0 * rows], axis=-1).astype(np.uint8)
    square = geometry.TurnedSquare(np.array([450.0, 400.0]), side, angle)
    cut = geometry.cut(image, square, 64)
    for u, v in itertools.product((20, 32, 44), repeat=2):
        x, y = square.to_image(np.array([u + 0.5, v + 0.5]) / 64)
        np.testing.assert_allclose(cut[v, u, :2], [x * 255 / 900, y * 255 / 800], atol=2.0)


def test_a_square_beyond_the_image_can_be_cut():
    image = np.full((50, 40, 3), 77, np.uint8)
    for centre in ([0.0, 0.0], [-500.0, 20.0], [40.0, 50.0]):
        assert (geometry.cut(image, geometry.TurnedSquare(np.array(centre), 90.0, 1.0), 32) == 77).all()


# From the mesh to the 68 landmarks


def test_each_landmark_is_a_convex_combination_of_a_few_vertices():
    weights = mediapipe_points.weights()
    assert weights.shape == (68, 478) and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert ((weights > 0).sum(axis=1) <= 6).all()
    assert not weights[:, 468:].any()  # no iris: it moves with the gaze


def test_the_table_is_symmetric():
    """Mirrored landmarks have as many vertices, with the same weights."""
    weights = np.sort(mediapipe_points.weights(), axis=1)
    np.testing.assert_allclose(weights[landmarks.FLIP_ORDER], weights, atol=2e-3)


def test_the_lips_meet_where_the_lips_of_the_mesh_meet():
    mesh = np.zeros((478, 3))
    mesh[[13, 14], 1] = 5.0, 9.0
    points = mediapipe_points.to_landmarks(mesh)
    assert points.shape == (68, 2) and points[62, 1] == 5.0 and points[66, 1] == 9.0
    assert mediapipe_points.to_landmarks(mesh[None, None]).shape == (1, 1, 68, 2)


def test_blendshapes_are_found_by_name():
    assert len(mediapipe_points.BLENDSHAPE_POINTS) == 146 and len(set(mediapipe_points.BLENDSHAPES)) == 52
    scores = np.arange(52.0)
    assert mediapipe_points.blendshape(scores, "jawOpen") == 25
    assert mediapipe_points.blendshape(scores, "mouthSmile") == 44.5
    assert mediapipe_points.blendshape(scores[None], "mouthSmileLeft").tolist() == [44.0]


# The detector


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean distance over the outer eye distance."""
    return float(landmarks.normalised_mean_error(found[None], expected[None])[0])


@with_file
def test_it_agrees_with_dlib_on_a_photograph(detector, astronaut):
    (ours,), (theirs,) = detector.detect([astronaut])[0], detectors.create("dlib").detect([astronaut])[0][:1]
    assert _error(ours.landmarks, theirs.landmarks) < 0.05
    assert ours.score > 0.8 and detectors.is_complete(ours.landmarks)


@with_file
@pytest.mark.parametrize("angle", [-80, -30, 15, 45])
def test_a_turned_head_has_turned_landmarks(detector, astronaut, angle):
    (upright,) = detector.detect([astronaut])[0]
    turned = np.asarray(Image.fromarray(astronaut).rotate(angle, Image.Resampling.BICUBIC))
    (found,) = detector.detect([turned])[0]
    back = geometry.TurnedSquare(np.full(2, 256.0), 512.0, np.deg2rad(-angle)).to_square(found.landmarks) * 512.0
    assert _error(back, upright.landmarks) < 0.01


@with_file
@pytest.mark.parametrize("scale", [0.25, 2.5])
def test_the_face_is_found_at_another_size(detector, astronaut, scale):
    (found,) = detector.detect([astronaut])[0]
    side = round(512 * scale)
    (other,) = detector.detect([np.asarray(Image.fromarray(astronaut).resize((side, side)))])[0]
    assert _error(other.landmarks / scale, found.landmarks) < 0.04


@with_file
def test_small_faces_of_a_large_picture_are_found(detector, astronaut):
    picture = np.full((3000, 4000, 3), 120, np.uint8)
    for x, y in ((300, 400), (3400, 2300)):
        picture[y : y + 512, x : x + 512] = astronaut
    found = detector.detect([picture])[0]
    assert sorted(round(face.landmarks[:, 0].mean() / 1000) for face in found) == [1, 4]


@with_file
def test_the_face_that_fills_a_crop_is_found(detector, astronaut):
    (found,) = detector.detect([astronaut])[0]
    low, high = found.landmarks.min(axis=0).astype(int) - 5, found.landmarks.max(axis=0).astype(int) + 5
    (tight,) = detector.detect([astronaut[low[1] : high[1], low[0] : high[0]]])[0]
    assert _error(tight.landmarks + low, found.landmarks) < 0.04


@with_file
def test_there_is_no_face_in_noise_or_in_a_cat(detector):
    noise = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    assert detector.detect([noise, np.zeros((1, 1, 3), np.uint8)]) == [[], []]
    assert detector.detect([pytest.importorskip("skimage.data").chelsea()]) == [[]]


@with_file
def test_the_blendshapes_of_a_smile(detector, astronaut):
    (face,) = detector.meshes(astronaut)
    scores = detector.blendshapes(face.mesh)
    assert scores.shape == (52,) and (scores >= 0).all() and (scores <= 1).all()
    assert mediapipe_points.blendshape(scores, "mouthSmile") > 0.5
    assert mediapipe_points.blendshape(scores, "eyeBlink") < 0.3


@with_file
def test_litert_and_tensorflow_give_the_same_landmarks(detector, astronaut, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    tensorflow = pytest.importorskip("tensorflow")
    monkeypatch.setattr(mediapipe, "_interpreter", lambda: tensorflow.lite.Interpreter)
    other = mediapipe.Mediapipe().detect([astronaut])[0][0]
    assert _error(other.landmarks, detector.detect([astronaut])[0][0].landmarks) < 1e-3


@with_file
def test_the_file_in_the_cache_folder_is_used(tmp_path, monkeypatch):
    monkeypatch.delenv(mediapipe.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "avlgan_jax").mkdir()
    shutil.copy(MODEL, tmp_path / "avlgan_jax" / mediapipe.FILE)
    detectors.fetch("mediapipe")
