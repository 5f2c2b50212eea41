import pickle
import tempfile
from pathlib import Path
from typing import ClassVar

import drawn_photographs as drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from affectnet_files import Bomb, write_2017, write_newer
from building import all_faces, build, rejected

from avlgan_jax.datasets import locating
from avlgan_jax.datasets.affectnet.affectnet_dataset_builder import Options
from avlgan_jax.datasets.registry import BUILDERS
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop


class AffectNetTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's standard checks of a data set, on the 2017 form."""

    DATASET_CLASS = BUILDERS["affectnet"]
    BUILDER_CONFIG_NAMES_TO_TEST = ("32px",)
    SPLITS: ClassVar = {"train": 7, "validation": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = folder.name
        write_2017(Path(folder.name) / "affectnet")
        cls.EXAMPLE_DIR = str(Path(folder.name) / "affectnet")

    def _make_builder(self, config=None):
        options = Options(landmarks="dlib", max_damaged=0.5)
        return self.dataset_class(data_dir=self.tmp_dir, config=config, options=options)


class NewerAffectNetTest(AffectNetTest):
    """TFDS's standard checks of a data set, on the newer form."""

    SPLITS: ClassVar = {"train": 5, "validation": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        write_newer(Path(folder.name))
        cls.EXAMPLE_DIR = folder.name


def test_the_2017_form_with_every_irregularity(tmp_path):
    folder = tmp_path / "affectnet"
    folder.mkdir()
    valid, reasons = write_2017(folder)
    manifest = build("affectnet", folder, tmp_path, landmarks="dlib", max_damaged=0.5)
    faces = all_faces(tmp_path, manifest)
    assert sorted(faces) == sorted(valid)
    assert rejected(tmp_path) == reasons | {"Manually_Annotated_Images/5/twin.jpg": locating.DUPLICATE}
    assert manifest.splits == {"train": 7, "validation": 1}
    sad = faces["Manually_Annotated_Images/2/d.TIF"]
    assert sad["emotion"] == (-0.7, -0.3) and sad["expression"] == 2
    # The annotated expression, not the nearest to the emotion.
    assert faces["Manually_Annotated_Images/2/c.jpeg"]["expression"] == 7
    truth = drawn.drawn_face(3).landmarks + np.array([100, 40])
    expected = crop.square_around(truth, (300, 360, 3)).to_crop(truth, 64)
    assert np.abs(sad["landmarks"] - expected).mean() < 2.0


def test_annotated_landmarks_are_used_if_selected(tmp_path):
    folder = tmp_path / "affectnet"
    folder.mkdir()
    write_2017(folder)
    manifest = build("affectnet", folder, tmp_path, landmarks="annotation", max_damaged=0.5)
    faces = all_faces(tmp_path, manifest)
    truth = drawn.drawn_face(3).landmarks + np.array([100, 40])
    expected = crop.square_around(truth, (300, 360, 3)).to_crop(truth, 64)
    np.testing.assert_allclose(faces["Manually_Annotated_Images/2/d.TIF"]["landmarks"], expected, atol=0.01)
    missing = {path for path, reason in rejected(tmp_path).items() if reason == "incomplete landmarks"}
    assert missing == {f"Manually_Annotated_Images/3/{name}_points.jpg" for name in ("no", "null")}


def test_the_automatic_list_is_used_if_selected(tmp_path):
    folder = tmp_path / "affectnet"
    folder.mkdir()
    write_2017(folder)
    only = all_faces(tmp_path / "a", build("affectnet", folder, tmp_path / "a", landmarks="dlib", lists="automatic"))
    assert list(only) == ["Automatically_Annotated_Images/7/auto.jpg"]
    options = {"landmarks": "dlib", "max_damaged": 0.5}
    both = build("affectnet", folder, tmp_path / "b", lists="both", **options)
    assert both.splits == {"train": 8, "validation": 1}


def test_the_newer_form_with_every_irregularity(tmp_path):
    folder = tmp_path / "affectnet"
    reasons = write_newer(folder)
    manifest = build("affectnet", folder, tmp_path, landmarks="dlib", max_damaged=0.5)
    faces = all_faces(tmp_path, manifest)
    assert sorted(faces) == ["train_set/0", "train_set/17", "train_set/3", "train_set/40", "train_set/43", "val_set/5"]
    assert rejected(tmp_path) == reasons
    assert faces["train_set/17"]["emotion"] == (-0.4, 0.65) and faces["train_set/17"]["expression"] == 6
    assert faces["val_set/5"]["split"] == "validation"
    assert not (folder / "exploded").exists()


def test_annotated_landmarks_may_be_outside_the_photograph(tmp_path):
    """The crop reaches beyond the photograph, so they are in it."""
    folder = tmp_path / "affectnet"
    write_newer(folder)
    manifest = build("affectnet", folder, tmp_path, landmarks="annotation", max_damaged=0.5)
    landmarks = all_faces(tmp_path, manifest)["train_set/17"]["landmarks"]
    assert landmarks.min() > 0 and landmarks.max() < 64


def test_table_ii_can_be_computed_from_the_records(tmp_path):
    """Table II has the mean valence and arousal of each annotated expression."""
    folder = tmp_path / "affectnet"
    write_newer(folder)
    faces = all_faces(tmp_path, build("affectnet", folder, tmp_path, landmarks="dlib", max_damaged=0.5))
    contempt = [face["emotion"] for face in faces.values() if face["expression"] == 7]
    np.testing.assert_allclose(np.mean(contempt, axis=0), [-0.55, 0.58], atol=1e-4)


def test_a_folder_in_another_form_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"holds neither Manually_Annotated_file_lists/training\.csv nor train_set"):
        build("affectnet", tmp_path, tmp_path / "data", landmarks="dlib")
    (tmp_path / "Manually_Annotated_file_lists").mkdir()
    (tmp_path / "Manually_Annotated_file_lists/training.csv").write_text("a,b,c\n")
    with pytest.raises(UserError, match=r"training\.csv, line 1: 3 columns, expected 9"):
        build("affectnet", tmp_path, tmp_path / "data", landmarks="dlib")


def test_unpickling_the_malicious_object_would_create_the_folder(tmp_path):
    """`test_the_newer_form_with_every_irregularity` relies on this: unpickling a `Bomb` creates the folder."""
    (tmp_path / "x").mkdir()
    pickle.loads(pickle.dumps(Bomb(tmp_path / "x")))
    assert (tmp_path / "x" / "exploded").exists()
