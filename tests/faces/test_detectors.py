import os
import re
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import run
from PIL import Image

from avlgan_jax.errors import UserError
from avlgan_jax.faces import detectors, landmarks, procedural
from avlgan_jax.faces.detectors import annotation, fan
from avlgan_jax.faces.detectors.dlib import SHA256, Dlib, checked
from avlgan_jax.faces.detectors.sidecar import Sidecar


@pytest.fixture(scope="module")
def dlib_detector():
    return Dlib()


@pytest.fixture(scope="module")
def drawn():
    """Return drawn faces of four adults and two infants with exact landmarks."""
    faces = [procedural.sample_face(1, subject, 0, subject % 3 == 0) for subject in range(6)]
    return [procedural.render(face, 0.3, 0.1, 256) for face in faces]


def _error(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the normalised mean error of landmarks."""
    return float(landmarks.normalised_mean_error(found[None], truth[None])[0])


def test_dlib_finds_the_landmarks_of_drawn_faces(dlib_detector, drawn):
    found = dlib_detector.detect([face.image for face in drawn])
    assert all(found)
    errors = [_error(candidates[0].landmarks, face.landmarks) for candidates, face in zip(found, drawn, strict=True)]
    assert np.median(errors) < 0.06
    assert max(errors) < 0.15


def test_dlib_finds_a_face_that_fills_the_image(dlib_detector, drawn):
    """Without padding, dlib finds no face in the crop below."""
    face = drawn[1]
    low, high = face.landmarks.min(axis=0).astype(int), face.landmarks.max(axis=0).astype(int)
    tight = face.image[max(low[1] - 8, 0) : high[1] + 8, max(low[0] - 8, 0) : high[0] + 8]
    (candidates,) = dlib_detector.detect([tight])
    corner = np.maximum(low - 8, 0)
    assert _error(candidates[0].landmarks + corner, face.landmarks) < 0.12


def test_dlib_finds_a_face_in_a_large_photograph(dlib_detector, drawn):
    large = np.kron(drawn[1].image, np.ones((6, 6, 1), np.uint8))
    (candidates,) = dlib_detector.detect([large])
    assert _error(candidates[0].landmarks / 6, drawn[1].landmarks) < 0.08


def test_dlib_finds_no_face_in_an_image_without_one(dlib_detector):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    assert dlib_detector.detect([np.full((100, 100, 3), 128, np.uint8), noise]) == [[], []]


def test_dlib_refuses_a_file_other_than_the_published_model(tmp_path):
    path = tmp_path / "shape_predictor_68_face_landmarks.dat"
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match=f"expected {SHA256[:12]}"):
        checked(path)
    with pytest.raises(UserError, match="pip install"):
        checked(tmp_path / "nothing.dat")


def test_the_error_for_an_unknown_detector_lists_the_detectors():
    with pytest.raises(UserError, match="--landmarks openface: .* expected one of fan, fan3d, dlib, mediapipe"):
        detectors.kind("openface")
    for ask in (detectors.fetch, detectors.create):
        with pytest.raises(UserError, match="--landmarks dlib-yunet: dlib has no options"):
            ask("dlib-yunet")
    with pytest.raises(UserError, match="--landmarks fan-mtcnn: .* expected one of fan-sfd, fan-yunet"):
        detectors.fetch("fan-mtcnn")


def _candidate(x: float, y: float, score: float = 1.0, size: float = 40.0) -> detectors.Candidate:
    """Return a detected face with random landmarks in a square box whose top left corner is (x, y)."""
    points = np.random.default_rng(0).uniform(0, size, (68, 2)).astype(np.float32) + np.float32([x, y])
    return detectors.Candidate(points, np.array([x, y, x + size, y + size], np.float32), score)


def test_choose_takes_the_face_in_the_box():
    near, far = _candidate(100, 100), _candidate(300, 100, score=9.0)
    assert detectors.choose([far, near], np.array([90, 90, 150, 150])) is near
    assert detectors.choose([far, near], None) is far
    assert detectors.choose([], None) == detectors.NO_FACE
    assert detectors.choose([far, near], np.array([0, 0, 50, 50])) == detectors.NONE_IN_BOX
    assert detectors.choose([far], np.array([0, 0, 50, 50])) == detectors.NO_FACE


def test_choose_rejects_incomplete_landmarks():
    complete = _candidate(0, 0)
    broken = complete.landmarks.copy()
    broken[5] = np.nan
    assert detectors.choose([detectors.Candidate(broken, complete.box, 1.0)], None) == detectors.INCOMPLETE
    assert not detectors.is_complete(np.zeros((68, 2), np.float32))
    assert not detectors.is_complete(np.ones((5, 2), np.float32))
    assert not detectors.is_complete(None)


def test_intersection_over_union():
    a = np.array([0.0, 0.0, 10.0, 10.0])
    assert detectors.intersection_over_union(a, a) == 1.0
    assert detectors.intersection_over_union(a, np.array([5.0, 0.0, 15.0, 10.0])) == pytest.approx(1 / 3)
    assert detectors.intersection_over_union(a, a + 20.0) == 0.0


def test_a_photograph_with_a_flipped_bit_in_its_sidecar_entry_is_detected_again(tmp_path, caplog):
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    with Sidecar(tmp_path, "dlib", "1") as sidecar:
        sidecar.put("a", points)
        sidecar.put("b", points)
        path = sidecar.path
    content = path.read_bytes()
    places = [match.start() for match in re.finditer(re.escape(points.tobytes()), content)]
    path.write_bytes(content[: places[0] + 100] + bytes([content[places[0] + 100] ^ 4]) + content[places[0] + 101 :])
    with Sidecar(tmp_path, "dlib", "1") as sidecar:
        found = [sidecar.get("a"), sidecar.get("b")]
    assert len(places) == 2 and sum(one is None for one in found) == 1
    assert "is damaged; detecting it again" in caplog.text


def test_a_sidecar_with_an_older_table_is_not_used(tmp_path):
    with sqlite3.connect(tmp_path / "dlib-1.sqlite") as database:
        database.execute("CREATE TABLE found (key TEXT PRIMARY KEY, reason TEXT, points BLOB)")
        database.execute("INSERT INTO found VALUES ('a', 'no face', NULL)")
    with Sidecar(tmp_path, "dlib", "1") as sidecar:
        assert sidecar.get("a") is None
        sidecar.put("a", "no face")
        assert sidecar.get("a") == "no face"


def test_the_sidecar_stores_points_and_reasons(tmp_path):
    points = np.random.default_rng(0).normal(size=(68, 2)).astype(np.float32)
    both = np.random.default_rng(1).normal(size=(68, 5)).astype(np.float32)
    with Sidecar(tmp_path, "dlib", "1") as sidecar:
        sidecar.put("a", points)
        sidecar.put("b", "no face")
        sidecar.put("c", both)
    with Sidecar(tmp_path, "dlib", "1") as sidecar:
        np.testing.assert_array_equal(sidecar.get("a"), points)
        assert sidecar.get("b") == "no face"
        np.testing.assert_array_equal(sidecar.get("c"), both)
        assert sidecar.get("d") is None
    with Sidecar(tmp_path, "dlib", "2") as sidecar:
        assert sidecar.get("a") is None  # another version may detect other points


def test_the_sidecar_is_on_disk_while_it_is_being_written(tmp_path):
    """A process killed with SIGKILL loses only the last few entries."""
    with Sidecar(tmp_path, "dlib", "1") as sidecar:
        for number in range(100):
            sidecar.put(str(number), "no face")
        rows = sqlite3.connect(sidecar.path).execute("SELECT COUNT(*) FROM found").fetchone()[0]
    assert rows >= 90


def test_a_damaged_sidecar_is_a_user_error(tmp_path):
    (tmp_path / "dlib-1.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match=r"dlib-1\.sqlite cannot be used.*delete it"):
        Sidecar(tmp_path, "dlib", "1")


def _random_fan(folder: Path, kind: type[fan.Fan], files: dict) -> fan.Fan:
    """Return FAN from the unmodified package with one of its four modules and with random weights in torch's folder."""
    torch = pytest.importorskip("torch")
    if "numba" not in sys.modules:
        os.environ["NUMBA_DISABLE_JIT"] = "1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(folder))
        from face_alignment import api
        from face_alignment.models import FAN

        torch.manual_seed(0)
        checkpoints = folder / "hub" / "checkpoints"
        checkpoints.mkdir(parents=True)
        for name in ("2DFAN", "3DFAN"):
            files = files | {f"{name}1-random.pth.tar": FAN(1).state_dict()}
            patch.setitem(api.models_urls, f"{name}-1", f"https://nowhere.invalid/{name}1-random.pth.tar")
        for file, weights in files.items():
            torch.save(weights, checkpoints / file)
            patch.setitem(fan.NETWORKS, file, f"https://nowhere.invalid/{file}")
        patch.setattr(kind, "networks", tuple(files))
        return kind("dlib", network_size=1)


@pytest.fixture(scope="module")
def fan_detector(tmp_path_factory):
    """Return FAN with random weights and dlib's face detector."""
    return _random_fan(tmp_path_factory.mktemp("torch"), fan.Fan, {})


@pytest.mark.slow
def test_fan3d_returns_2d_and_3d_landmarks_equal_in_a_batch_and_alone(tmp_path, drawn):
    from face_alignment.models import ResNetDepth

    depth = {f"module.{name}": weights for name, weights in ResNetDepth().state_dict().items()}
    detector = _random_fan(tmp_path, fan.Fan3d, {"depth-2a464da4ea.pth.tar": {"state_dict": depth}})
    together = detector.detect([drawn[1].image, drawn[2].image])
    alone = detector.detect([drawn[2].image])
    assert together[1][0].landmarks.shape == (68, 2)
    assert together[1][0].landmarks_3d.shape == (68, 3)
    np.testing.assert_allclose(together[1][0].landmarks_3d, alone[0][0].landmarks_3d, atol=1e-2)


def test_fan_returns_the_same_in_a_batch_and_one_by_one(fan_detector, drawn):
    images = [drawn[1].image, np.full((90, 80, 3), 200, np.uint8), drawn[2].image[:, 20:]]
    together = fan_detector.detect(images)
    assert [len(candidates) for candidates in together] == [1, 0, 1]
    for image, candidates in zip(images, together, strict=True):
        alone = fan_detector.detect([image])[0]
        for one, other in zip(candidates, alone, strict=True):
            np.testing.assert_allclose(one.landmarks, other.landmarks, atol=1e-3)
            np.testing.assert_array_equal(one.box, other.box)
            assert detectors.is_complete(one.landmarks)


def test_fan_returns_the_landmarks_of_the_package(fan_detector, drawn):
    """The face has room around it: where the package's crop leaves the image, the package shifts it by a pixel."""
    image = np.zeros((512, 512, 3), np.uint8)
    image[128:384, 100:356] = drawn[1].image
    (candidates,) = fan_detector.detect([image])
    expected = fan_detector._fan_2d.get_landmarks_from_image(image)
    np.testing.assert_allclose(candidates[0].landmarks, expected[0], atol=1e-3)


@pytest.mark.slow
def test_full_size_fan_from_the_command_line(tmp_path, drawn):
    """No code is replaced. Files with the real names and sizes, but random weights, are in torch's folder."""
    torch = pytest.importorskip("torch")
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), checkpoints / "2DFAN4-11f355bf06.pth.tar")
    finder = s3fd()
    for name, layer in finder.named_modules():
        if name.endswith("mbox_conf"):  # the bias makes "no face" certain at every position
            layer.bias.data.fill_(20.0)
            layer.bias.data[-1] = -20.0
    torch.save(finder.state_dict(), checkpoints / "s3fd-619a316812.pth")

    for i in range(2):
        Image.fromarray(drawn[1 + i].image).save(tmp_path / f"{i}.png")
    rows = [f"{i}.png,0,0,{split}" for i, split in enumerate(("train", "validation"))]
    (tmp_path / "labels.csv").write_text("\n".join(["path,valence,arousal,split", *rows]))
    common = ["face_folder", "--manual-dir", str(tmp_path), "--resolution", "32", "--workers", "1"]
    environment = os.environ | {"TORCH_HOME": str(tmp_path / "torch")}
    accepted = [*common, "--landmarks", "fan-dlib", "--data-dir", str(tmp_path / "accepted")]
    assert run("prepare.py", *accepted, env=environment).stdout.split()[-2:] == ["accepted", "2"]
    rejected = [*common, "--landmarks", "fan", "--data-dir", str(tmp_path / "rejected")]
    done = run("prepare.py", *rejected, env=environment, check=False)
    assert done.returncode == 2 and "none of the 2 images" in done.stderr and "2 no face" in done.stderr


def test_the_error_for_missing_fan_weights_names_files_and_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(fan, "FINDERS", {"sfd": {"s3fd-619a316812.pth": "http://127.0.0.1:9/s3fd-619a316812.pth"}})
    monkeypatch.setattr(fan, "NETWORKS", dict.fromkeys(fan.NETWORKS, "http://127.0.0.1:9/fan"))
    with pytest.raises(UserError) as caught:
        detectors.fetch("fan")
    message = str(caught.value)
    for words in ("2DFAN4-11f355bf06.pth.tar", "s3fd-619a316812.pth", str(tmp_path / "hub" / "checkpoints"), "dlib"):
        assert words in message
    assert "3DFAN4" not in message
    with pytest.raises(UserError, match="3DFAN4-7835d9f11d"):
        detectors.fetch("fan3d")


def test_unreadable_fan_weights_are_a_user_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "2DFAN4-11f355bf06.pth.tar").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"cannot be read .* delete 2DFAN4"):
        detectors.create("fan-dlib")


def test_annotated_points_are_parsed_or_none():
    numbers = np.arange(136.0)
    found = annotation.parse(";".join(f"{n:.2f}" for n in numbers))
    np.testing.assert_array_equal(found, numbers.reshape(68, 2))
    assert annotation.box_of(found) == (0.0, 1.0, 134.0, 135.0)
    for text in (None, "", "NULL", "1;2;3", ";".join(["1"] * 135 + ["nan"])):
        assert annotation.parse(text) is None
    assert annotation.box_of(None) is None
    assert annotation.box_of(np.zeros((68, 2), np.float32)) is None


def test_every_detector_in_the_table_can_be_imported():
    for name in detectors.CLASSES:
        found = detectors.kind(name)
        assert callable(found.detect) and callable(found.fetch) and found.name and found.version
