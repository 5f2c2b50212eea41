import dataclasses
import inspect
import re
import tempfile
from pathlib import Path
from typing import ClassVar

import drawn_photographs as drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from building import all_faces, build, rejected
from conftest import ROOT
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
        (
            "path,valence,arousal,group\na.png,0,0,child\n",
            "line 2, column age_group: 'child' is not one of adult, infant",
        ),
        (
            "path,valence,arousal,split\na.png,0,0,dev\n",
            "line 2, column split: 'dev' is not one of train, validation, test",
        ),
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
        build("face_folder", tmp_path, tmp_path / "data", landmarks="dlib", age_group_column="age")
    with pytest.raises(UserError, match="has no column landmarks"):
        build("face_folder", tmp_path, tmp_path / "data", landmarks="annotation")


PEOPLE = [f"person {k}" for k in range(12)]


def several_pictures_a_person(folder: Path, header: list[str]) -> None:
    """Write three pictures of each of twelve people, an infant every third, and a table without the column split."""
    rows = []
    for k, person in enumerate(PEOPLE):
        for shot in range(3):
            path = f"{k}-{shot}.png"
            save_shot(folder / path, k, shot)
            group = "infant" if k % 3 == 0 else "adult"
            rows.append([path, 0.1 * shot, 0.2, person, group][: len(header)])
    drawn.write_csv(folder / "labels.csv", header, rows)


def save_shot(path: Path, subject: int, shot: int) -> None:
    """Write a drawn face, each shot of a person a little darker than the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(drawn.drawn_face(subject).image - 3.0 * shot, 0, 255).astype(np.uint8)).save(path)


@pytest.mark.parametrize("names", [("subject", "age_group"), ("person", "group"), (" Subject ", "Age Group")])
def test_a_person_with_several_pictures_is_in_one_split(tmp_path, capfd, names):
    several_pictures_a_person(tmp_path / "mine", ["path", "valence", "arousal", *names])
    manifest = build("face_folder", tmp_path / "mine", tmp_path, landmarks="dlib", max_damaged=1.0)
    faces = all_faces(tmp_path, manifest)
    assert len(faces) == 36 and len({face["subject"] for face in faces.values()}) == 12
    assert sum(face["infant"] for face in faces.values()) == 12
    splits = {}
    for face in faces.values():
        assert splits.setdefault(face["subject"], face["split"]) == face["split"]
    assert len(set(splits.values())) > 1
    assert manifest.options["people"] == "named: each is in one split"
    assert "warning" not in capfd.readouterr().err


def test_without_a_subject_the_command_says_that_people_may_be_shared(tmp_path, capfd):
    several_pictures_a_person(tmp_path / "mine", ["path", "valence", "arousal", "who"])
    manifest = build("face_folder", tmp_path / "mine", tmp_path, landmarks="dlib")
    assert manifest.options["people"].startswith("unknown: the table has no column subject")
    printed = capfd.readouterr().err
    assert "nothing reads the column who; the columns that are read are age_group, arousal, expression" in printed
    assert "has no column subject: each picture counts as another person, so people may be shared" in printed


def test_a_person_that_the_table_puts_into_two_splits_is_told(tmp_path, capfd):
    rows = [["0.png", 0, 0, "anna", "train"], ["1.png", 0, 0, "anna", "test"], ["2.png", 0, 0, "", "train"]]
    for k in range(3):
        drawn.save_face(tmp_path / f"mine/{k}.png", k)
    drawn.write_csv(tmp_path / "mine/labels.csv", ["path", "valence", "arousal", "subject", "split"], rows)
    manifest = build("face_folder", tmp_path / "mine", tmp_path, landmarks="dlib")
    printed = capfd.readouterr().err
    assert "puts 1 people into several splits, such as anna (test, train)" in printed
    assert "1 pictures name no subject" in printed
    assert manifest.options["people"] == "named: 1 people are in several splits, as the table says"


def test_the_readme_and_the_tutorial_name_every_column():
    folder = Path(inspect.getfile(BUILDERS["face_folder"])).parent
    readme, tutorial = (folder / "README.md").read_text(), (ROOT / "docs/tutorial.md").read_text()
    options = BUILDERS["face_folder"].Options
    columns = [field.default for field in dataclasses.fields(options) if field.name.endswith("_column")]
    assert len(columns) == 8
    for column in columns:
        assert f"`{column}`" in readme, column
    assert "`subject`" in tutorial and "`age_group`" in tutorial
    named = set(re.findall(r"column `(\w+)`", readme + tutorial))
    assert named <= set(columns)
