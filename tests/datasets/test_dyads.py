import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import drawn_photographs as drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from building import all_faces, build
from conftest import ROOT
from dyad_files import write_dyads

from avlgan_jax.data import records
from avlgan_jax.datasets import locating
from avlgan_jax.datasets.dyads.dyads_dataset_builder import DISAGREE, Options
from avlgan_jax.datasets.procedural_faces import plan
from avlgan_jax.datasets.registry import BUILDERS
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, procedural, video

OPTIONS = {"landmarks": "dlib", "max_damaged": 0.5, "validation_dyads": "bert"}


class DyadsTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's standard checks of a data set."""

    DATASET_CLASS = BUILDERS["dyads"]
    BUILDER_CONFIG_NAMES_TO_TEST = ("32px",)
    SPLITS: ClassVar = {"train": 4, "validation": 4}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        write_dyads(Path(folder.name))
        cls.EXAMPLE_DIR = folder.name

    def _make_builder(self, config=None):
        return self.dataset_class(data_dir=self.tmp_dir, config=config, options=Options(**OPTIONS))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dyads")
    write_dyads(folder / "filmed")
    return folder, build("dyads", folder / "filmed", folder / "data", **OPTIONS)


def test_frames_have_the_mean_and_the_standard_deviation_of_their_ratings(built):
    folder, manifest = built
    faces = all_faces(folder / "data", manifest)
    assert faces["anna/parent/000000"]["emotion"] == pytest.approx((0.55, np.nan), nan_ok=True)
    assert faces["anna/infant/000000"]["emotion"] == pytest.approx((0.2, np.nan), nan_ok=True)
    assert faces["anna/infant/000002"]["emotion"] == pytest.approx((-0.9, np.nan), nan_ok=True)
    assert faces["bert/infant/000001"]["emotion"] == (0.2, 0.3)
    assert faces["anna/infant/000000"]["infant"] and not faces["anna/parent/000000"]["infant"]
    assert {face["split"] for name, face in faces.items() if name.startswith("bert")} == {"validation"}
    train = records.load(folder / "data", "dyads", 64, "train")
    by_id = {str(name): i for i, name in enumerate(train.ids)}
    i = by_id["anna/parent/000000"]
    assert train.extras["valence_deviation"][i] == pytest.approx(0.05)
    assert train.extras["annotators"][i] == 2 and train.extras["annotators"][by_id["anna/infant/000000"]] == 1
    assert train.extras["phase"][i] == "play" and train.extras["dyad"][i] == "anna"
    assert np.isnan(train.emotions[:, 1]).all() and (train.expressions == records.NO_EXPRESSION).all()
    validation = records.load(folder / "data", "dyads", 64, "validation")
    np.testing.assert_array_equal(np.isnan(validation.emotions[:, 1]), ~validation.infants)
    np.testing.assert_array_equal(validation.expressions >= 0, validation.infants)


def test_every_rejected_frame_has_the_right_reason(built):
    folder, manifest = built
    assert manifest.rejections == {locating.UNREADABLE: 2, locating.OUT_OF_RANGE: 2, DISAGREE: 1, locating.NO_LABEL: 1}
    (path,) = folder.rglob("rejected.csv")
    reasons = dict(line.split(",")[::2] for line in path.read_text().splitlines()[1:])
    assert reasons == {
        "anna/parent/000001": DISAGREE,
        "anna/parent/000002": locating.NO_LABEL,
        "anna/parent/000003": locating.OUT_OF_RANGE,
        "anna/infant/000003": locating.OUT_OF_RANGE,
        "anna/parent/000009": locating.UNREADABLE,
        "anna/infant/000009": locating.UNREADABLE,
    }


def test_identical_frames_of_a_sequence_are_not_duplicates(built):
    folder, manifest = built
    faces = all_faces(folder / "data", manifest)
    np.testing.assert_array_equal(faces["bert/infant/000000"]["image"], faces["bert/infant/000001"]["image"])


def test_records_do_not_depend_on_the_number_of_workers(built, tmp_path):
    folder, manifest = built
    assert build("dyads", folder / "filmed", tmp_path, workers=2, **OPTIONS).digest == manifest.digest


def test_exported_drawn_dyads_are_read_back(tmp_path):
    """Export as a user would. The frames are cropped around their landmarks, as those of any film."""
    options = plan.Options(faces=4, held_out=4, dyads=2, dyad_seconds=0.2, seed=3)
    builder = BUILDERS["procedural_faces"](data_dir=str(tmp_path), config="64px", options=options)
    builder.download_and_prepare(download_dir=str(tmp_path / "downloads"))
    command = [
        sys.executable,
        "-m",
        "avlgan_jax.datasets.dyads.export",
        "--data-dir",
        str(tmp_path),
        "--resolution",
        "64",
    ]
    out = tmp_path / "filmed"
    done = subprocess.run([*command, str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("24 frames written"), done.stderr
    again = subprocess.run([*command, str(out)], cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 2 and "already exists" in again.stderr

    manifest = build("dyads", out, tmp_path, landmarks="annotation", validation_dyads="01")
    assert manifest.splits == {"train": 12, "validation": 12}
    truth = records.load(tmp_path, "procedural_faces", 64, "dyads")
    found = all_faces(tmp_path, manifest)
    assert len(found) == len(truth) == 24
    for i in range(len(truth)):
        person = "infant" if truth.infants[i] else "parent"
        face = found[f"{truth.extras['dyad'][i]:02}/{person}/{truth.extras['frame'][i]:06}"]
        square = crop.square_around(truth.landmarks[i], truth.images[i].shape)
        np.testing.assert_array_equal(face["image"], crop.crop_square(truth.images[i], square, 64))
        np.testing.assert_allclose(face["landmarks"], square.to_crop(truth.landmarks[i], 64), atol=1e-4)
        np.testing.assert_allclose(face["emotion"], truth.emotions[i], atol=1e-4)
        assert face["infant"] == truth.infants[i]
    phases = set(records.load(tmp_path, "dyads", 64, "train").extras["phase"])
    assert phases == set(procedural.PHASES)


def test_invalid_folders_and_options_are_user_errors(tmp_path):
    with pytest.raises(UserError, match=r"no folder with a ratings\.csv"):
        build("dyads", tmp_path, tmp_path / "data", **OPTIONS)
    write_dyads(tmp_path / "dyads")
    with pytest.raises(UserError, match="--validation-dyads carl: no such dyad; choose from anna, bert"):
        build("dyads", tmp_path / "dyads", tmp_path / "data", **(OPTIONS | {"validation_dyads": "carl"}))
    with pytest.raises(UserError, match=r"parent_landmarks\.npy is missing"):
        build("dyads", tmp_path / "dyads", tmp_path / "data", **(OPTIONS | {"landmarks": "annotation"}))
    shutil.rmtree(tmp_path / "dyads/bert/infant")
    with pytest.raises(UserError, match=r"bert has neither a video infant\.mp4 nor a folder"):
        build("dyads", tmp_path / "dyads", tmp_path / "data", **OPTIONS)


def test_a_truncated_video_is_a_user_error(tmp_path):
    write_dyads(tmp_path / "dyads")
    (tmp_path / "dyads/anna/parent.mp4").write_bytes((tmp_path / "dyads/anna/parent.mp4").read_bytes()[:500])
    with pytest.raises(UserError, match=r"anna/parent\.mp4: unreadable"):
        build("dyads", tmp_path / "dyads", tmp_path / "data", landmarks="dlib", validation_dyads="bert")
    assert not list(tmp_path.rglob("rejected.csv"))


def rated(folder: Path, count: int) -> None:
    """Write ratings of `count` frames: the valence is the number of the frame, the arousal of the infant half of it."""
    rows = [[k, "play", k, k, k / 2] for k in range(count)]
    drawn.write_csv(folder / "ratings.csv", ["frame", "phase", "parent_valence_a", "infant_valence_a", "note"], rows)


def test_frames_of_folders_keep_their_ratings_beside_other_files_and_beyond_nine(tmp_path, capfd):
    """Frame k shows person k: with files sorted as text or .DS_Store counted, ratings would move to other people."""
    folder = tmp_path / "dyads/anna"
    for person in ("parent", "infant"):
        for k in range(12):
            drawn.save_face(folder / person / f"frame{k}.png", k)
        (folder / person / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (folder / person / "Thumbs.db").touch()
    rated(folder, 13)
    listed = list(BUILDERS["dyads"](data_dir=str(tmp_path), config="64px").list_photographs(tmp_path / "dyads"))
    paths = {photograph.id: photograph.path for photograph in listed}
    assert all(
        paths[f"anna/{person}/{k:06}"] == f"anna/{person}/frame{k}.png"
        for person in ("infant", "parent")
        for k in range(12)
    )
    assert paths["anna/parent/000012"] == "anna/parent/frame 12"
    printed = capfd.readouterr().err
    assert "anna/parent has 12 frames, but ratings.csv rates up to its frame 12 (counted from 0)" in printed
    assert "nothing reads the column note" in printed


def test_films_of_unequal_rates_are_aligned_in_seconds(tmp_path, capfd):
    folder = tmp_path / "dyads/anna"
    folder.mkdir(parents=True)
    for person, count, rate in (("parent", 30, 30.0), ("infant", 15, 15.0)):
        video.write_video(folder / f"{person}.mp4", [np.full((32, 32, 3), 8 * k, np.uint8) for k in range(count)], rate)
    (folder / "infant.mp4").rename(folder / "infant.MP4")
    rated(folder, 30)
    listed = list(BUILDERS["dyads"](data_dir=str(tmp_path), config="64px").list_photographs(tmp_path / "dyads"))
    frames = {photograph.id: (photograph.path, photograph.frame) for photograph in listed}
    for k in range(30):
        assert frames[f"anna/parent/{k:06}"] == ("anna/parent.mp4", k)
        assert frames[f"anna/infant/{k:06}"] == ("anna/infant.MP4", k // 2)
    assert "frames, but" not in capfd.readouterr().err


def test_a_dyad_without_ratings_or_readable_films_has_no_frames(tmp_path, capfd):
    folder = tmp_path / "dyads/anna"
    folder.mkdir(parents=True)
    for person in ("parent", "infant"):
        (folder / f"{person}.mp4").touch()
    rated(folder, 0)
    assert list(BUILDERS["dyads"](data_dir=str(tmp_path), config="64px").list_photographs(tmp_path / "dyads")) == []
    assert "frames, but" not in capfd.readouterr().err


def test_a_rated_frame_that_is_no_number_names_its_line(tmp_path):
    write_dyads(tmp_path / "dyads")
    table = tmp_path / "dyads/anna/ratings.csv"
    table.write_text(table.read_text().replace("\n2,still", "\ntwo,still"))
    with pytest.raises(UserError, match=r"ratings\.csv, line 4, column frame: 'two' is not an integer of 0 or more"):
        build("dyads", tmp_path / "dyads", tmp_path / "data", **OPTIONS)
