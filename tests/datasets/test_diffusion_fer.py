import shutil
from pathlib import Path

import drawn_photographs as drawn
import numpy as np
import pytest
import tensorflow_datasets as tfds
from building import all_faces, build, rejected
from PIL import Image

from avlgan_jax.data.manifest import Manifest
from avlgan_jax.datasets import locating, photographs
from avlgan_jax.datasets.diffusion_fer.diffusion_fer_dataset_builder import PREFIX
from avlgan_jax.datasets.registry import BUILDERS
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop

REAL = Path(__file__).parents[3] / "shared" / "data" / "diffusion_fer"


def _build(manual_dir: Path, data_dir: Path, workers: int = 1, **options) -> Manifest:
    return build("diffusion_fer", manual_dir, data_dir, workers=workers, **options)


@pytest.fixture(scope="module")
def manual_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    drawn.diffusion_fer(folder)
    return folder


class DiffusionFerTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's standard checks of a data set."""

    DATASET_CLASS = BUILDERS["diffusion_fer"]
    BUILDER_CONFIG_NAMES_TO_TEST = ("32px",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.EXAMPLE_DIR = cls.create_tempdir_for_class()
        rows = drawn.diffusion_fer(Path(cls.EXAMPLE_DIR))
        splits = [photographs.split_of(Path(path).stem.rsplit("_", 1)[0]) for path, *_ in rows]
        cls.SPLITS = {split: splits.count(split) for split in set(splits)}

    @classmethod
    def create_tempdir_for_class(cls) -> str:
        import tempfile

        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        return folder.name


def test_valid_images_become_faces_with_their_labels(manual_dir, tmp_path):
    manifest = _build(manual_dir, tmp_path)
    assert sum(manifest.splits.values()) == 12
    assert manifest.rejections == {}
    for name, face in all_faces(tmp_path, manifest).items():
        subject = int(name.removeprefix("cropped/happy/person").split("_")[0])
        if subject == 10:
            continue  # one person with two images
        np.testing.assert_allclose(face["emotion"], [np.cos(subject), np.sin(subject)], atol=0.0051)
        assert face["expression"] == subject % 7
        # dlib's landmarks in their crop are near the true landmarks in the crop around these.
        truth = drawn.drawn_face(subject)
        expected = crop.square_around(truth.landmarks, truth.image.shape).to_crop(truth.landmarks, 64)
        assert np.abs(face["landmarks"] - expected).mean() < 3.0


def test_all_images_of_a_person_are_in_one_split(manual_dir, tmp_path):
    manifest = _build(manual_dir, tmp_path)
    split_of = {}
    for face in all_faces(tmp_path, manifest).values():
        assert split_of.setdefault(face["subject"], face["split"]) == face["split"]
    assert len(split_of) == 11


def test_published_paths_are_accepted(manual_dir, tmp_path):
    """The sheet has the published prefix and .png; the files may have both, or no prefix and .jpg."""
    expected = _build(manual_dir, tmp_path / "as_here")
    sheet = (manual_dir / "dataset_sheet.csv").read_text()
    published = sheet.replace("cropped/", f"{PREFIX}cropped/").replace(".jpg", ".png")
    reencoded = shutil.copytree(manual_dir, tmp_path / "reencoded")
    (reencoded / "dataset_sheet.csv").write_text(published)
    assert _build(reencoded, tmp_path / "b").digest == expected.digest

    nested = tmp_path / "nested"
    for path in manual_dir.glob("cropped/happy/*.jpg"):
        target = nested / PREFIX / "cropped" / "happy" / f"{path.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(target)
    (nested / "dataset_sheet.csv").write_text(published)
    assert _build(nested, tmp_path / "c").digest == expected.digest


@pytest.fixture
def damaged_dir(tmp_path):
    """Return a folder of twelve valid images and one image with each fault."""
    folder = tmp_path / "manual"
    rows = drawn.diffusion_fer(folder)
    drawn.save_face(folder / "cropped/sad/short_2.jpg", 3, quality=90)
    drawn.cut_short(folder / "cropped/sad/short_2.jpg")
    (folder / "cropped/sad/empty_2.jpg").write_bytes(b"")
    Image.new("RGB", (64, 64), "gray").save(folder / "cropped/sad/no_face_2.jpg")
    shutil.copy(folder / rows[0][0], folder / "cropped/sad/twin_2.jpg")
    drawn.save_face(tmp_path / "private.jpg", 5)
    for subject, name in enumerate(("high", "word", "none", "class")):
        drawn.save_face(folder / f"cropped/sad/{name}_2.jpg", subject, 200)
    faults = [
        ["cropped/sad/short_2.jpg", 0, 0, 2],
        ["cropped/sad/empty_2.jpg", 0, 0, 2],
        ["cropped/sad/no_face_2.jpg", 0, 0, 2],
        ["cropped/sad/twin_2.jpg", 0, 0, 2],
        ["cropped/sad/gone_2.jpg", 0, 0, 2],
        ["../private.jpg", 0, 0, 2],
        [str(tmp_path / "private.jpg"), 0, 0, 2],
        ["cropped/sad/high_2.jpg", 1.01, 0, 2],
        ["cropped/sad/word_2.jpg", "glad", 0, 2],
        ["cropped/sad/none_2.jpg", "", "", 2],
        ["cropped/sad/class_2.jpg", 0, 0, 11],
    ]
    drawn.write_sheet(folder, rows + faults)
    return folder


def test_every_fault_is_one_rejection_with_the_right_reason(damaged_dir, tmp_path):
    manifest = _build(damaged_dir, tmp_path, max_damaged=1.0)
    assert rejected(tmp_path) == {
        "cropped/sad/short_2.jpg": locating.UNREADABLE,
        "cropped/sad/empty_2.jpg": locating.UNREADABLE,
        "cropped/sad/no_face_2.jpg": "no face",
        "cropped/sad/twin_2.jpg": locating.DUPLICATE,
        "cropped/sad/gone_2.jpg": locating.MISSING,
        "../private.jpg": locating.OUTSIDE,
        str(damaged_dir.parent / "private.jpg"): locating.OUTSIDE,
        "cropped/sad/high_2.jpg": locating.OUT_OF_RANGE,
        "cropped/sad/word_2.jpg": locating.OUT_OF_RANGE,
        "cropped/sad/none_2.jpg": locating.NO_LABEL,
        "cropped/sad/class_2.jpg": locating.OUT_OF_RANGE,
    }
    assert sum(manifest.splits.values()) == 12
    assert sum(manifest.rejections.values()) == 11


def test_more_damage_than_allowed_is_an_error_that_names_the_first_image(damaged_dir, tmp_path):
    with pytest.raises(UserError, match=r"8 of 23 images .* first is cropped/sad/short_2\.jpg: unreadable"):
        _build(damaged_dir, tmp_path)
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_data_set_without_accepted_images_is_an_error(tmp_path):
    folder = tmp_path / "manual"
    folder.mkdir()
    Image.new("RGB", (64, 64), "gray").save(folder / "a_0.jpg")
    drawn.write_sheet(folder, [["a_0.jpg", 0, 0, 0]])
    with pytest.raises(UserError, match=r"none of the 1 images .* \(1 no face\)"):
        _build(folder, tmp_path)
    drawn.write_sheet(folder, [])
    with pytest.raises(UserError, match="no images are listed in"):
        _build(folder, tmp_path)


def test_a_folder_without_a_valid_sheet_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"dataset_sheet\.csv is missing; give the folder"):
        _build(tmp_path, tmp_path / "data")
    (tmp_path / "dataset_sheet.csv").write_text("path,valence\n")
    with pytest.raises(UserError, match=r"has no column arousal, expression, subDirectory_filePath"):
        _build(tmp_path, tmp_path / "data")


def test_no_image_is_detected_twice(manual_dir, tmp_path, capfd):
    first = _build(manual_dir, tmp_path)
    assert "reused" not in capfd.readouterr().err
    shutil.rmtree(tmp_path / "diffusion_fer")
    assert _build(manual_dir, tmp_path, workers=2).digest == first.digest
    assert "12 of 12 detections reused" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the DiffusionFER images are not on this machine")
def test_faces_of_the_real_data_set_are_detected(tmp_path):
    manifest = _build(REAL, tmp_path, workers=2)
    assert sum(manifest.splits.values()) >= 970
    assert set(manifest.rejections) == {"no face"}


def test_the_manifest_says_that_people_are_unknown(manual_dir, tmp_path):
    assert _build(manual_dir, tmp_path).options["people"].startswith("unknown: the file names identify nobody")
