import tempfile
from pathlib import Path
from typing import ClassVar

import drawn_photographs as drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from building import all_faces, build, rejected
from PIL import Image

from avlgan_jax.datasets import locating
from avlgan_jax.datasets.registry import BUILDERS
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, emotions


class FaceFolderTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's standard checks of a data set."""

    DATASET_CLASS = BUILDERS["face_folder"]
    BUILDER_CONFIG_NAMES_TO_TEST = ("32px",)
    SPLITS: ClassVar = {"train": 2, "test": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.EXAMPLE_DIR = folder.name
        rows = [[f"{i}.png", 0.1, 0.2, "train" if i < 2 else "test"] for i in range(3)]
        for i in range(3):
            drawn.save_face(Path(folder.name) / f"{i}.png", i)
        drawn.write_csv(Path(folder.name) / "labels.csv", ["path", "valence", "arousal", "split"], rows)

    def _make_builder(self, config=None):
        options = self.dataset_class.Options(landmarks="dlib")
        return self.dataset_class(data_dir=self.tmp_dir, config=config, options=options)


def test_all_optional_columns_are_read(tmp_path):
    folder = tmp_path / "mine"
    for i, extension in enumerate(("JPG", "png", "tif", "jpeg", "webp", "bmp")):
        drawn.save_face(folder / f"images/{i}.{extension}", i)
    rows = [
        ["images/0.JPG", 0.5, -0.25, "Happy", "infant", "anna", "train"],
        ["images/1.png", -0.5, 0.25, 6, "adult", "anna", "train"],
        ["images/2.tif", 0, 0, "", "", "", "validation"],
        ["images/3.jpeg", 1, -1, "fear", "Infant", "bea", "test"],
        ["images/4.webp", 0.7, 0.1, "", "", "", ""],
        ["images/5.bmp", 0.7, 0.1, "", "", "", ""],
    ]
    header = ["path", "valence", "arousal", "expression", "group", "subject", "split"]
    drawn.write_csv(folder / "labels.csv", header, rows)
    faces = all_faces(tmp_path, build("face_folder", folder, tmp_path, landmarks="dlib"))
    assert sorted(faces) == sorted(row[0] for row in rows)
    first, second, third = faces["images/0.JPG"], faces["images/1.png"], faces["images/2.tif"]
    assert first["emotion"] == (0.5, -0.25) and first["infant"] and first["subject"] == "anna"
    assert emotions.EXPRESSIONS[first["expression"]] == "happy"
    assert emotions.EXPRESSIONS[second["expression"]] == "anger" and not second["infant"]
    assert emotions.EXPRESSIONS[third["expression"]] == "neutral"  # the nearest to the emotion
    assert third["subject"] == "images/2.tif" and third["split"] == "validation"
    assert emotions.EXPRESSIONS[faces["images/4.webp"]["expression"]] == "happy"


def test_columns_are_named_by_options_and_the_delimiter_is_detected(tmp_path):
    folder = tmp_path / "mine"
    drawn.save_face(folder / "a b;c.png", 1)
    (folder / "ratings.csv").write_text('\ufeffpicture\tv\ta\n"a b;c.png"\t0.25\t0.5\n', encoding="utf-8")
    options = {"labels": "ratings.csv", "path_column": "picture", "valence_column": "v", "arousal_column": "a"}
    faces = all_faces(tmp_path, build("face_folder", folder, tmp_path, landmarks="dlib", **options))
    assert faces["a b;c.png"]["emotion"] == (0.25, 0.5)


def test_annotated_landmarks_are_used_and_cropped(tmp_path):
    folder = tmp_path / "mine"
    header, rows = ["path", "valence", "arousal", "landmarks"], []
    truth = {}
    for i in range(3):
        truth[f"{i}.png"] = drawn.save_face(folder / f"{i}.png", i).landmarks
        rows.append([f"{i}.png", 0, 0, ";".join(str(v) for v in truth[f"{i}.png"].ravel())])
    rows += [["3.png", 0, 0, "NULL"], ["4.png", 0, 0, "1;2;3"]]
    for i in (3, 4):
        drawn.save_face(folder / f"{i}.png", i)
    drawn.write_csv(folder / "labels.csv", header, rows)
    faces = all_faces(tmp_path, build("face_folder", folder, tmp_path, landmarks="annotation"))
    assert sorted(faces) == sorted(truth)
    for name, points in truth.items():
        square = crop.square_around(points, (224, 224, 3))
        np.testing.assert_allclose(faces[name]["landmarks"], square.to_crop(points, 64), atol=1e-3)
    assert rejected(tmp_path) == {"3.png": "incomplete landmarks", "4.png": "incomplete landmarks"}


def test_photographs_are_rotated_upright_by_exif(tmp_path):
    """Phones store the image as the sensor captured it, and the orientation of the camera in EXIF."""
    folder = tmp_path / "mine"
    upright = drawn.save_face(folder / "upright.png", 1)
    turned = Image.fromarray(np.rot90(upright.image))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise
    turned.save(folder / "turned.png", exif=exif)
    Image.fromarray(upright.image).convert("L").save(folder / "grey.png")
    names = ["upright.png", "turned.png", "grey.png"]
    drawn.write_csv(folder / "labels.csv", ["path", "valence", "arousal"], [[name, 0, 0] for name in names])
    faces = all_faces(tmp_path, build("face_folder", folder, tmp_path, landmarks="dlib"))
    assert sorted(faces) == sorted(names)
    np.testing.assert_array_equal(faces["turned.png"]["image"], faces["upright.png"]["image"])


def test_an_image_listed_twice_is_a_duplicate(tmp_path):
    folder = tmp_path / "mine"
    drawn.save_face(folder / "a.png", 1)
    drawn.write_csv(folder / "labels.csv", ["path", "valence", "arousal"], [["a.png", 0, 0], ["a.png", 0.5, 0]])
    faces = all_faces(tmp_path, build("face_folder", folder, tmp_path, landmarks="dlib"))
    assert faces["a.png"]["emotion"] == (0.0, 0.0)
    assert rejected(tmp_path) == {"a.png": locating.DUPLICATE}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,valence,arousal\na.png,0,0\n", "has no column path; it has file, valence, arousal"),
        ("path,valence,arousal,group\na.png,0,0,child\n", "line 2: 'child' is not one of adult, infant"),
        ("path,valence,arousal,split\na.png,0,0,dev\n", "line 2: 'dev' is not one of train, validation, test"),
        ("", "has no column arousal, path, valence; it has none"),
    ],
)
def test_an_invalid_table_is_a_user_error(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        build("face_folder", tmp_path, tmp_path / "data", landmarks="dlib")


def test_a_missing_table_or_column_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"labels\.csv is missing; name the CSV"):
        build("face_folder", tmp_path, tmp_path / "data", landmarks="dlib")
    (tmp_path / "labels.csv").write_text("path,valence,arousal\na.png,0,0\n")
    with pytest.raises(UserError, match="has no column age"):
        build("face_folder", tmp_path, tmp_path / "data", landmarks="dlib", group_column="age")
    with pytest.raises(UserError, match="has no column landmarks"):
        build("face_folder", tmp_path, tmp_path / "data", landmarks="annotation")
