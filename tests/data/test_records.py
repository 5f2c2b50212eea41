import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from avlgan_jax.data import records, tfrecord
from avlgan_jax.data.manifest import MANIFEST, find_manifest, records_digest, write_manifest
from avlgan_jax.errors import UserError

SIDE = 32
FEATURES = {
    "image": {"dtype": "png", "shape": [SIDE, SIDE, 3]},
    "landmarks": {"dtype": "float32", "shape": [68, 2]},
    "landmarks_3d": {"dtype": "float32", "shape": [68, 3]},
    "face_key": {"dtype": "int64", "shape": [4]},
    "phase": {"dtype": "str", "shape": []},
}


def _faces(count: int) -> records.Faces:
    """Return random faces with extras."""
    generator = np.random.default_rng(count)
    return records.Faces(
        images=generator.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8),
        landmarks=generator.uniform(-5, SIDE + 5, (count, 68, 2)).astype(np.float32),
        emotions=generator.uniform(-1, 1, (count, 2)).astype(np.float32),
        expressions=generator.integers(0, 8, count, np.int32),
        infants=np.arange(count) % 3 == 0,
        ids=np.array([f"face-{i}é" for i in range(count)]),
        subjects=np.array([f"person-{i // 4}" for i in range(count)]),
        extras={
            "landmarks_3d": generator.normal(size=(count, 68, 3)).astype(np.float32),
            "face_key": np.stack([np.full(count, -7), np.arange(count), np.arange(count), np.arange(count)], axis=1),
            "phase": np.array([["play", "still face"][i % 2] for i in range(count)]),
        },
    )


def _png(image: np.ndarray) -> bytes:
    """Return the bytes of an image as PNG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="png")
    return stream.getvalue()


def _write_tfrecord(path, faces: records.Faces, rows: range, backwards: bool = False) -> None:
    """Write rows of `faces` with TensorFlow, with the features in reverse order if `backwards`."""
    tf = pytest.importorskip("tensorflow", reason="writes the files that the package reads without it")

    def floats(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(values)))

    def integers(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=np.ravel(values)))

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in rows:
            features = {
                "image": text(_png(faces.images[i])),
                "landmarks": floats(faces.landmarks[i]),
                "valence": floats(faces.emotions[i, 0]),
                "arousal": floats(faces.emotions[i, 1]),
                "expression": integers(faces.expressions[i]),
                "id": text(faces.ids[i].encode()),
                "subject": text(faces.subjects[i].encode()),
                "age_group": integers(int(faces.infants[i])),
                "landmarks_3d": floats(faces.extras["landmarks_3d"][i]),
                "face_key": integers(faces.extras["face_key"][i]),
                "phase": text(faces.extras["phase"][i].encode()),
            }
            if "arousal_known" in faces.extras:
                features["arousal_known"] = integers(faces.extras["arousal_known"][i])
            if backwards:
                features = dict(reversed(features.items()))
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write ten training faces and three test faces; return the data directory and the faces of each split."""
    data_dir = tmp_path_factory.mktemp("data")
    folder = data_dir / "faces" / f"{SIDE}px" / "1.0.0"
    folder.mkdir(parents=True)
    train, test = _faces(10), _faces(3)
    _write_tfrecord(folder / "faces-train.tfrecord-00000-of-00002", train, range(6))
    _write_tfrecord(folder / "faces-train.tfrecord-00001-of-00002", train, range(6, 10))
    _write_tfrecord(folder / "faces-test.tfrecord-00000-of-00001", test, range(3))
    write_manifest(
        folder,
        name="faces",
        resolution=SIDE,
        version="1.0.0",
        splits={"train": 10, "test": 3},
        features=FEATURES,
        options={"seed": 3},
        command="python prepare.py faces --resolution 32",
        rejections={},
    )
    return data_dir, {"train": train, "test": test}


@pytest.fixture
def data_dir(written, tmp_path):
    """Return a copy of the data directory, which a test may damage."""
    import shutil

    return shutil.copytree(written[0], tmp_path / "data")


def _assert_same(found: records.Faces, expected: records.Faces) -> None:
    """Assert that all fields and extras are equal."""
    for field in dataclasses.fields(records.Faces):
        if field.name != "extras":
            np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))
    assert found.extras.keys() == expected.extras.keys()
    for name, array in expected.extras.items():
        np.testing.assert_array_equal(found.extras[name], array)


def test_load_returns_what_tensorflow_wrote(written):
    data_dir, splits = written
    for split, faces in splits.items():
        _assert_same(records.load(data_dir, "faces", SIDE, split), faces)


def test_3d_landmarks_replace_2d_ones_on_request(written):
    data_dir, splits = written
    faces = records.load(data_dir, "faces", SIDE, "test", dimensions=3)
    np.testing.assert_array_equal(faces.landmarks, splits["test"].extras["landmarks_3d"])
    np.testing.assert_array_equal(faces.images, splits["test"].images)


def test_data_without_3d_landmarks_is_refused_before_records_are_read(data_dir):
    (manifest,) = data_dir.glob(f"faces/{SIDE}px/*/{MANIFEST}")
    fields = json.loads(manifest.read_text())
    del fields["features"]["landmarks_3d"]
    manifest.write_text(json.dumps(fields))
    for record in manifest.parent.glob("*.tfrecord*"):
        record.unlink()
    with pytest.raises(UserError, match="has no 3-D landmarks .* prepare.py faces .* --landmarks fan3d"):
        records.load(data_dir, "faces", SIDE, "train", dimensions=3)


def test_a_second_load_maps_the_cache_and_returns_the_same_faces(data_dir, written):
    first = records.load(data_dir, "faces", SIDE, "train")
    images = data_dir / ".cache" / records_digest(data_dir, "faces", SIDE) / "train" / "images.npy"
    before = images.stat().st_mtime_ns
    second = records.load(data_dir, "faces", SIDE, "train")
    assert images.stat().st_mtime_ns == before
    assert isinstance(second.images, np.memmap)
    _assert_same(second, first)


def test_a_damaged_cache_is_rebuilt(data_dir, written):
    records.load(data_dir, "faces", SIDE, "train")
    images = data_dir / ".cache" / records_digest(data_dir, "faces", SIDE) / "train" / "images.npy"
    _flip_byte(images)
    _assert_same(records.load(data_dir, "faces", SIDE, "train"), written[1]["train"])


def test_a_cache_that_another_training_has_written_meanwhile_stays(data_dir, written, monkeypatch):
    """Two trainings of `make demo` start together. The files that the first reads do not vanish."""
    decode, process = records._decode, os.getpid()
    cache = data_dir / ".cache" / records_digest(data_dir, "faces", SIDE) / "train"
    shutil.rmtree(cache, ignore_errors=True)

    def decode_second(*arguments):
        monkeypatch.setattr(records, "_decode", decode)
        monkeypatch.setattr(os, "getpid", lambda: process + 1)
        records.load(data_dir, "faces", SIDE, "train")
        monkeypatch.setattr(os, "getpid", lambda: process)
        placed.append((cache / "images.npy").stat().st_ino)
        decode(*arguments)

    placed = []
    monkeypatch.setattr(records, "_decode", decode_second)
    _assert_same(records.load(data_dir, "faces", SIDE, "train"), written[1]["train"])
    assert [(cache / "images.npy").stat().st_ino] == placed
    assert sorted(path.name for path in cache.parent.iterdir() if path.name.startswith(".")) == []


def test_length_resolution_and_take():
    faces = _faces(10)
    assert len(faces) == 10
    assert faces.resolution == SIDE
    some = faces.take(np.array([7, 2]))
    assert list(some.ids) == ["face-7é", "face-2é"]
    np.testing.assert_array_equal(some.extras["face_key"][:, 1], [7, 2])
    assert len(faces.take(faces.infants)) == 4


def _flip_byte(path) -> None:
    """Flip a bit of the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def test_the_error_for_a_flipped_byte_names_the_file_and_the_command(data_dir):
    records.load(data_dir, "faces", SIDE, "train")  # the cache must not hide the damage
    damaged = data_dir / "faces" / "32px" / "1.0.0" / "faces-test.tfrecord-00000-of-00001"
    _flip_byte(damaged)
    with pytest.raises(UserError, match=r"faces-test\.tfrecord.*python prepare\.py faces --resolution 32"):
        records.load(data_dir, "faces", SIDE, "train")


def test_a_missing_record_file_is_named(data_dir):
    (data_dir / "faces" / "32px" / "1.0.0" / "faces-test.tfrecord-00000-of-00001").unlink()
    with pytest.raises(UserError, match=r"faces-test\.tfrecord\S+ is missing"):
        records.load(data_dir, "faces", SIDE, "train")


def test_a_damaged_manifest_is_a_user_error(data_dir):
    manifest = data_dir / "faces" / "32px" / "1.0.0" / "manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        records.load(data_dir, "faces", SIDE, "train")


def test_the_error_for_missing_data_names_the_command_and_the_prepared_resolutions(data_dir):
    with pytest.raises(UserError, match=r"no records of faces at 64 px.*prepared: 32 px.*python prepare\.py faces"):
        records.load(data_dir, "faces", 64, "train")
    with pytest.raises(UserError, match=r"python prepare\.py procedural_faces --resolution 48 --data-dir"):
        records_digest(data_dir, "procedural_faces", 48)


def test_the_error_for_an_unknown_split_lists_the_splits(data_dir):
    with pytest.raises(UserError, match="no split 'validation'; it has train, test"):
        records.load(data_dir, "faces", SIDE, "validation")


def test_an_incomplete_version_is_ignored(data_dir):
    unfinished = data_dir / "faces" / "32px" / "2.0.0"
    unfinished.mkdir()
    (unfinished / "faces-train.tfrecord-00000-of-00001").write_bytes(b"half")
    assert len(records.load(data_dir, "faces", SIDE, "train")) == 10


def test_the_digest_depends_on_the_faces_only(data_dir, written):
    before = records_digest(data_dir, "faces", SIDE)
    folder = data_dir / "faces" / "32px" / "1.0.0"
    manifest = find_manifest(data_dir, "faces", SIDE)[1]
    others = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest)}
    others = {name: value for name, value in others.items() if name not in ("files", "contents")}
    # The same faces in one file instead of two and with reordered features have the same digest.
    for path in folder.glob("faces-train*"):
        path.unlink()
    train = written[1]["train"]
    _write_tfrecord(folder / "faces-train.tfrecord-00000-of-00001", train, range(10), backwards=True)
    write_manifest(folder, **(others | {"command": "another", "options": {}}))
    assert records_digest(data_dir, "faces", SIDE) == before
    train.emotions[7, 0] += 0.001
    _write_tfrecord(folder / "faces-train.tfrecord-00000-of-00001", train, range(10))
    train.emotions[7, 0] -= 0.001
    write_manifest(folder, **others)
    assert records_digest(data_dir, "faces", SIDE) != before


def test_loading_needs_no_tensorflow(written):
    script = (
        "import sys; from avlgan_jax.data import records;"
        f"faces = records.load({str(written[0])!r}, 'faces', 32, 'train');"
        "print(len(faces), 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10", "False"]


def test_written_records_have_the_bytes_of_tensorflow(tmp_path):
    tf = pytest.importorskip("tensorflow", reason="writes the expected file")
    messages = [np.random.default_rng(size).bytes(size) for size in (0, 1, 1000, 100_000)]
    with tf.io.TFRecordWriter(str(tmp_path / "expected")) as writer:
        for message in messages:
            writer.write(message)
    tfrecord.write(tmp_path / "written", messages)
    assert (tmp_path / "written").read_bytes() == (tmp_path / "expected").read_bytes()


def test_a_truncated_record_is_an_error(written, tmp_path):
    content = (written[0] / "faces" / "32px" / "1.0.0" / "faces-test.tfrecord-00000-of-00001").read_bytes()
    path = tmp_path / "cut.tfrecord"
    path.write_bytes(content[:-50])
    with pytest.raises(ValueError, match="ends inside a record"):
        list(tfrecord.read(path))


def test_arousal_that_old_records_of_dyads_invented_is_absent(tmp_path):
    """Records of version 1 had 0 as the arousal that was not rated, and an expression from it."""
    folder = tmp_path / "dyads" / f"{SIDE}px" / "1.0.0"
    folder.mkdir(parents=True)
    old = _faces(4)
    known = np.array([1, 0, 0, 1])
    old.emotions[known == 0, 1] = 0.0
    old = dataclasses.replace(old, extras=old.extras | {"arousal_known": known})
    _write_tfrecord(folder / "dyads-train.tfrecord-00000-of-00001", old, range(4))
    write_manifest(
        folder,
        name="dyads",
        resolution=SIDE,
        version="1.0.0",
        splits={"train": 4},
        features=FEATURES | {"arousal_known": {"dtype": "int64", "shape": []}},
        options={},
        command="python prepare.py dyads --manual-dir DIR --resolution 32",
        rejections={},
    )
    for _ in range(2):  # decoded, and from the cache
        found = records.load(tmp_path, "dyads", SIDE, "train")
        np.testing.assert_array_equal(np.isnan(found.emotions), [[False, k == 0] for k in known])
        np.testing.assert_array_equal(found.emotions[known == 1], old.emotions[known == 1])
        np.testing.assert_array_equal(found.expressions, np.where(known, old.expressions, records.NO_EXPRESSION))
        assert "arousal_known" not in found.extras
