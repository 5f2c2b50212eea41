import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from avlgan_jax.data import manifest, records
from avlgan_jax.datasets.procedural_faces import plan
from avlgan_jax.datasets.registry import BUILDERS
from avlgan_jax.errors import UserError
from avlgan_jax.faces import emotions, procedural

SMALL = plan.Options(faces=44, held_out=16, dyads=1, dyad_seconds=0.2, seed=5)
SIZES = {"train": 44, "validation": 16, "test": 16, "dyads": 12}


class ProceduralFacesTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's standard checks of a data set."""

    DATASET_CLASS = BUILDERS["procedural_faces"]
    BUILDER_CONFIG_NAMES_TO_TEST = ("32px",)
    SPLITS = SIZES
    EXAMPLE_DIR = "."  # the builder reads no files

    def _make_builder(self, config=None):
        return self.dataset_class(data_dir=self.tmp_dir, config=config, options=SMALL)


def _build(data_dir, workers: int = 1, options: plan.Options = SMALL) -> manifest.Manifest:
    builder = BUILDERS["procedural_faces"](data_dir=str(data_dir), config="32px", options=options, workers=workers)
    builder.download_and_prepare(download_dir=str(data_dir / "downloads"))
    return manifest.verify_records(data_dir, "procedural_faces", 32)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    return data_dir, _build(data_dir)


@pytest.fixture(scope="module")
def faces(prepared):
    return {split: records.load(prepared[0], "procedural_faces", 32, split) for split in SIZES}


def test_the_splits_have_the_requested_sizes(prepared, faces):
    assert prepared[1].splits == SIZES
    assert {split: len(found) for split, found in faces.items()} == SIZES
    assert prepared[1].options["seed"] == 5


def test_tfds_load_reads_the_same_as_records(prepared, faces):
    loaded = {
        example["id"].decode(): example
        for example in tfds.as_numpy(tfds.load("procedural_faces/32px", split="train", data_dir=str(prepared[0])))
    }
    train = faces["train"]
    assert sorted(loaded) == sorted(train.ids)
    for i in range(len(train)):
        example = loaded[train.ids[i]]
        np.testing.assert_array_equal(train.images[i], example["image"])
        np.testing.assert_array_equal(train.landmarks[i], example["landmarks"])
        np.testing.assert_array_equal(train.extras["landmarks_3d"][i], example["landmarks_3d"])
        assert tuple(train.emotions[i]) == (example["valence"], example["arousal"])


def test_every_face_can_be_rendered_again_from_its_key(faces):
    for split in ("train", "validation", "test"):
        found = faces[split]
        for i in range(0, len(found), 5):
            seed, subject, shot, infant = (int(v) for v in found.extras["face_key"][i])
            face = procedural.sample_face(seed, subject, shot, bool(infant))
            drawn = procedural.render(face, *(float(v) for v in found.emotions[i]), 32)
            np.testing.assert_array_equal(found.images[i], drawn.image)
            np.testing.assert_allclose(found.landmarks[i], drawn.landmarks, rtol=1e-6)
            assert found.infants[i] == face.infant == bool(infant)


def test_expressions_are_the_nearest_to_the_emotions(faces):
    train = faces["train"]
    np.testing.assert_array_equal(train.expressions, emotions.nearest_expression(train.emotions))
    assert np.abs(train.emotions).max() <= 1.0


def test_people_are_in_one_split_and_have_four_images(faces):
    subjects = {split: set(found.subjects) for split, found in faces.items()}
    keys = [found.extras["face_key"][:, :2] for split, found in faces.items() if split != "dyads"]
    assert len(np.unique(np.concatenate(keys), axis=0)) == sum(len(subjects[s]) for s in subjects if s != "dyads")
    _, counts = np.unique(faces["train"].subjects, return_counts=True)
    assert set(counts) == {plan.SHOTS}
    assert "train/00002-3" in faces["train"].ids


def test_the_splits_have_the_documented_shares_of_infants():
    options = plan.Options(faces=4000, held_out=1000)
    for split, share in (("train", 0.05), ("validation", 0.25)):
        assert abs(np.mean([still.infant for still in plan.faces(options, split)]) - share) < 0.003


def test_infant_every_sets_the_share_of_infants_in_training_only():
    rare, frequent = plan.Options(faces=960, held_out=100), plan.Options(faces=960, held_out=100, infant_every=3)
    assert np.mean([still.infant for still in plan.faces(frequent, "train")]) == pytest.approx(1 / 3)
    assert list(plan.faces(rare, "validation")) == list(plan.faces(frequent, "validation"))
    assert all(still.infant for still in plan.faces(plan.Options(faces=8, infant_every=1), "train"))
    with pytest.raises(UserError, match="--infant-every 0: expected 1 or more"):
        plan.Options(infant_every=0)


def test_held_out_faces_do_not_depend_on_the_number_of_training_faces(prepared, faces, tmp_path):
    _build(tmp_path, options=plan.Options(faces=8, held_out=16, dyads=0, seed=5))
    again = records.load(tmp_path, "procedural_faces", 32, "validation")
    order, expected = np.argsort(again.ids), np.argsort(faces["validation"].ids)
    np.testing.assert_array_equal(again.images[order], faces["validation"].images[expected])


def test_records_do_not_depend_on_the_number_of_workers(prepared, tmp_path):
    assert _build(tmp_path, workers=2).digest == prepared[1].digest


def test_another_seed_gives_other_records(prepared, tmp_path):
    other = plan.Options(faces=44, held_out=16, dyads=1, dyad_seconds=0.2, seed=6)
    assert _build(tmp_path, options=other).digest != prepared[1].digest


def test_dyads_have_frames_of_a_mother_and_an_infant(faces):
    dyads = faces["dyads"]
    assert set(dyads.extras["dyad"]) == {0}
    assert sorted(dyads.extras["frame"]) == sorted([*range(6)] * 2)
    assert set(dyads.extras["phase"]) == set(procedural.PHASES)
    assert set(dyads.subjects[dyads.infants]) == {"dyads/00-infant"}
    assert set(dyads.subjects[~dyads.infants]) == {"dyads/00-mother"}
    truth = procedural.dyad(5, 0, 0.2)
    order = np.argsort(dyads.extras["frame"][dyads.infants])
    np.testing.assert_array_equal(dyads.emotions[dyads.infants][order], truth.infant_emotions)


def test_stored_images_are_lossless(prepared, faces):
    """The images read are bit for bit those drawn, so storing them does not change the Fréchet distance."""
    found = faces["dyads"]
    i = int(np.flatnonzero(found.infants)[0])
    frame = int(found.extras["frame"][i])
    drawn = procedural.render(procedural.dyad(5, 0, 0.2).infant_at(frame), *map(float, found.emotions[i]), 32)
    np.testing.assert_array_equal(found.images[i], drawn.image)
    assert Image.fromarray(found.images[i]).size == (32, 32)


@pytest.mark.parametrize(
    ("field", "value"), [("faces", 0), ("held_out", -1), ("seed", -1), ("dyad_seconds", 0.0), ("faces", 2_000_000_000)]
)
def test_impossible_options_are_refused(field, value):
    with pytest.raises(UserError):
        plan.Options(**{field: value})


def test_several_emotions_of_a_pose_make_pairs(prepared, tmp_path):
    """The first emotion of each pose is the one that the records without pairs have."""
    options = plan.Options(faces=12, held_out=4, dyads=0, seed=5, emotions=2)
    _build(tmp_path, options=options)
    paired = records.load(tmp_path, "procedural_faces", 32, "train")
    single = records.load(prepared[0], "procedural_faces", 32, "train")
    assert len(paired) == 12 and len(set(paired.ids)) == 12
    for index, (partner,) in enumerate(paired.partners):
        assert tuple(paired.extras["face_key"][index]) == tuple(paired.extras["face_key"][partner])
        assert tuple(paired.emotions[index]) != tuple(paired.emotions[partner])
    firsts = {face_id: paired.images[index] for index, face_id in enumerate(paired.ids) if face_id.count("-") == 1}
    assert len(firsts) == 6
    for face_id, image in firsts.items():
        np.testing.assert_array_equal(image, single.images[list(single.ids).index(face_id)])
    assert len(records.load(tmp_path, "procedural_faces", 32, "validation")) == 4


def test_records_without_a_later_option_have_its_default(tmp_path):
    from avlgan_jax.datasets import prepare

    request = prepare.DrawnRequest(plan.Options(faces=4, held_out=4, dyads=0), data_dir=tmp_path, resolution=32)
    first = prepare.prepare("procedural_faces", request, "first")
    path = next(tmp_path.rglob("manifest.json"))
    text = path.read_text()
    assert '"emotions": 1' in text
    path.write_text(text.replace('"emotions": 1,', ""))
    assert prepare.prepare("procedural_faces", request, "second").command == first.command


def test_frames_of_dyads_can_be_left_out():
    every = plan.Options(faces=4, held_out=4, dyads=2, dyad_seconds=0.5)
    some = plan.Options(faces=4, held_out=4, dyads=2, dyad_seconds=0.5, dyad_every=3)
    assert (plan.splits(every)[plan.DYADS], plan.splits(some)[plan.DYADS]) == (60, 20)
    kept = [face for face in plan.faces(every, plan.DYADS) if face.frame % 3 == 0]
    assert list(plan.faces(some, plan.DYADS)) == kept  # the same faces, only fewer
    with pytest.raises(UserError, match="--dyad-every 0: expected 1 or more"):
        plan.Options(dyad_every=0)
