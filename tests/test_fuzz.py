"""Whatever the bytes, a reader gives a record, a named rejection or one clear error.

Each reader is fed what Hypothesis thinks of and mutations of sound files: a few dozen cases of each in the fast
suite, thousands in the slow one.
"""

import dataclasses
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from avlgan_jax import config
from avlgan_jax.data import records, tfrecord
from avlgan_jax.data.manifest import Manifest
from avlgan_jax.datasets import labels, locating
from avlgan_jax.datasets.face_folder import face_folder_dataset_builder as face_folder
from avlgan_jax.errors import UserError
from avlgan_jax.faces import video
from avlgan_jax.faces.detectors import annotation
from avlgan_jax.presets import debug
from avlgan_jax.training import compare_runs, metric_writer, skipped_steps

COUNTS = pytest.mark.parametrize("count", [40, pytest.param(3000, marks=pytest.mark.slow)])


def fuzz(count, strategy, check):
    """Run `check` on so many values; always the same ones, so that what fails today fails tomorrow."""
    quiet = {"deadline": None, "database": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}
    settings(max_examples=count, **quiet)(given(strategy)(check))()


@st.composite
def mutated(draw, sound: bytes) -> bytes:
    """A sound file after one to four accidents: bits flipped, a piece cut, doubled, zeroed, or strange bytes put in."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(1, 64))
        kind = draw(st.sampled_from(["flip", "cut", "end", "double", "zero", "insert", "ones"]))
        piece = data[start : start + length]
        if kind == "flip" and data:
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "end":
            del data[start:]
        elif kind == "insert":
            data[start:start] = draw(st.binary(max_size=32))
        else:
            data[start : start + length] = {
                "cut": b"",
                "double": piece * 2,
                "zero": bytes(len(piece)),
                "ones": b"\xff" * len(piece),
                "flip": b"",
            }[kind]
    return bytes(data)


def files(*sound: bytes):
    """Bytes of any kind, and mutations of sound files."""
    return st.one_of(st.binary(max_size=300), *(mutated(one) for one in sound))


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    Image.fromarray(pixels).save(stream, format=kind)
    return stream.getvalue()


def array_file(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@COUNTS
def test_photographs(count):
    def check(data):
        try:
            pixels = locating.read_image(data)
        except ValueError:
            return
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3

    fuzz(count, files(*map(picture, ("png", "jpeg", "webp", "bmp", "gif", "tiff"))), check)


@COUNTS
def test_arrays(count, tmp_path):
    path = epath.Path(tmp_path / "some.npy")

    def check(data):
        path.write_bytes(data)
        try:
            found = labels.array(path)
        except ValueError:
            return
        assert isinstance(found, np.ndarray) and found.dtype != object
        annotation.points(found) if found.dtype.kind in "fiu" else None

    sound = (np.arange(136.0), np.array("happy"), np.zeros((2, 3), np.uint8))
    fuzz(count, files(*map(array_file, sound)), check)


@COUNTS
def test_labels(count, tmp_path):
    options = face_folder.Options()
    builder = face_folder.Builder.__new__(face_folder.Builder)
    builder.options = options
    points = ";".join(["12.5"] * 136)
    sound = (
        b"path,valence,arousal,expression,group,subject,split,landmarks\n"
        b'a.png,0.5,-0.25,happy,adult,anna,train,""\n'
        b"b/c.png,nan,,3,infant,,test," + points.encode() + b"\n",
        b"path;valence;arousal\n../x.png;1e300;-inf\n/etc/passwd;0;0\n",
        "path\tvalence\tarousal\né\u2028.png\t0\t0\n".encode("utf-16"),
    )

    def check(data):
        (tmp_path / options.labels).write_bytes(data)
        try:
            listed = list(builder.list_photographs(tmp_path))
        except UserError as error:
            assert "\n" not in str(error).strip() or len(str(error)) < 10_000
            return
        for photograph in listed:
            seen = locating.locate_faces([photograph], tmp_path, annotation.NAME, None)[0].outcome
            assert isinstance(seen, str)  # there are no images: each is rejected by name

    fuzz(count, files(*sound), check)


@COUNTS
def test_paths_never_leave_their_folder(count, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("")
    (folder / "out").symlink_to(tmp_path)
    (folder / "circle").symlink_to(folder / "circle")
    part = st.sampled_from(["..", ".", "", "out", "circle", "a", "folder", "~", "\0", "é" * 300]) | st.text(max_size=5)

    def check(path):
        try:
            found = locating.inside(folder, path)
        except ValueError:
            return
        assert Path(os.path.realpath(found)).is_relative_to(folder)  # a link to itself stays what it is: a missing file

    fuzz(count, st.lists(part, max_size=6).map("/".join), check)


@COUNTS
def test_records(count, tmp_path):
    tensorflow = pytest.importorskip("tensorflow", reason="writes the sound records")
    feature = tensorflow.train.Feature
    example = tensorflow.train.Example(
        features=tensorflow.train.Features(
            feature={
                "image": feature(bytes_list=tensorflow.train.BytesList(value=[picture("png")])),
                "landmarks": feature(float_list=tensorflow.train.FloatList(value=np.zeros(136))),
                "age_group": feature(int64_list=tensorflow.train.Int64List(value=[-1])),
            }
        )
    )
    sound = tmp_path / "sound"
    with tensorflow.io.TFRecordWriter(str(sound)) as writer:
        for _ in range(2):
            writer.write(example.SerializeToString())
    path = tmp_path / "fuzzed"

    def check(data):
        path.write_bytes(data)
        try:
            for found in tfrecord.read(path):
                assert all(isinstance(name, str) for name in found)
        except ValueError:
            pass

    fuzz(count, files(sound.read_bytes()), check)


def text_files(*sound: str):
    """Text of any kind, JSON of any kind, and mutations of sound files."""
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    values = st.recursive(
        plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
    )
    garbled = st.one_of(*(mutated(one.encode()) for one in sound)).map(lambda data: data.decode(errors="replace"))
    return st.one_of(st.text(max_size=100), values.map(json.dumps), garbled)


@COUNTS
def test_configs(count):
    sound = config.to_json(debug())
    fields = list(config.dataclasses.asdict(debug()).items())

    def check(text):
        try:
            found = config.from_json(text, "config.json")
        except UserError as error:
            assert "config.json is no config of this version" in str(error)
            return
        assert config.from_json(config.to_json(found), "again") == found

    swapped = st.tuples(st.sampled_from(fields), st.none() | st.text(max_size=4) | st.integers() | st.floats()).map(
        lambda chosen: json.dumps(json.loads(sound) | {chosen[0][0]: chosen[1]})
    )
    fuzz(count, text_files(sound) | swapped, check)


@COUNTS
def test_manifests(count, tmp_path):
    folder = tmp_path / "faces" / "32px" / "1.0.0"
    folder.mkdir(parents=True)
    kept = {name: {} for name in ("splits", "contents", "files", "features", "options", "rejections")}
    sound = json.dumps({"name": "faces", "resolution": 32, "version": "1.0.0", "command": "prepare"} | kept)

    def check(text):
        (folder / "manifest.json").write_text(text, errors="replace")
        try:
            records.load(tmp_path, "faces", 32, "train")
        except UserError as error:
            assert "faces" in str(error)

    fuzz(count, text_files(sound), check)


@COUNTS
def test_metrics_files(count, tmp_path):
    digests = {"batches": "0" * 16, "losses": "1" * 16, "state": "2" * 8}
    lines = [{"step": 0, "leaves": ["step"]}, {"step": 2, "loss": 0.5, "digests": digests}]
    sound = "".join(json.dumps(line) + "\n" for line in lines)

    def check(text):
        (tmp_path / metric_writer.METRICS).write_text(text, errors="replace")
        metric_writer.MetricWriter(tmp_path, "image", 2, 4, batch_size=1, leaves=["step"]).close()
        assert all(isinstance(line, dict) for line in metric_writer.read_metrics(tmp_path))
        try:
            found = compare_runs.trace(tmp_path)
        except UserError:
            return
        assert compare_runs.compare_traces(found, found) == []

    fuzz(count // 2, text_files(sound), check)


@COUNTS
def test_skipped_steps(count, tmp_path):
    def check(text):
        (tmp_path / skipped_steps.SKIPPED).write_text(text, errors="replace")
        try:
            found = skipped_steps.read_skips(tmp_path)
        except UserError as error:
            assert "skipped.json is damaged" in str(error)
            return
        assert found.data_step(3) >= 3

    fuzz(count, text_files("[[4, 7], [9, 9]]"), check)


@pytest.mark.parametrize("count", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_videos(count, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
    sound = []
    for ending in (".mp4", ".gif"):
        path = tmp_path / f"sound{ending}"
        video.write_video(path, iter(frames), 10.0)
        sound.append(path.read_bytes())
    numbers = iter(range(10**9))

    def check(data):
        path = tmp_path / f"{next(numbers)}.mp4"
        path.write_bytes(data)
        try:
            assert video.read_frame(path, 3).dtype == np.uint8
        except (ValueError, OSError):
            pass
        finally:
            path.unlink()

    fuzz(count, files(*sound), check)


@pytest.mark.parametrize(
    ("kind", "size"), [("png", (30_000, 30_000)), pytest.param("gif", (65_000, 65_000), marks=pytest.mark.slow)]
)
def test_a_picture_that_unpacks_to_gigabytes_is_refused_unread(kind, size):
    stream = io.BytesIO()
    Image.new("1" if kind == "png" else "P", (8, 8)).save(stream, format=kind)
    data = bytearray(stream.getvalue())
    place, order = (16, "big") if kind == "png" else (6, "little")  # where the header says the size
    digits = 4 if kind == "png" else 2
    for index, side in enumerate(size):
        data[place + digits * index : place + digits * (index + 1)] = side.to_bytes(digits, order)
    if kind == "png":
        import zlib

        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ValueError, match=r"pixels|exceeds limit"):
        locating.read_image(bytes(data))


def test_a_manifest_may_not_have_record_files_elsewhere(tmp_path):
    folder = tmp_path / "faces" / "32px" / "1.0.0"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    manifest = Manifest("faces", 32, "1.0.0", {"train": 1}, {}, {"../../../secret": "0"}, {}, {}, "c", {})
    (folder / "manifest.json").write_text(json.dumps(dataclasses.asdict(manifest)))
    with pytest.raises(UserError, match="manifest.json is damaged"):
        records.load(tmp_path, "faces", 32, "train")
