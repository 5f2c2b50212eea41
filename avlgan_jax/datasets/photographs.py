"""Base class of all builders of photographs: options, splits, rejections and crops.

A data set's builder only lists its images and their labels (`Photograph`). `locating` finds the landmarks. This module
decides which images are accepted, and crops and encodes them.
"""

import csv
import dataclasses
import functools
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from avlgan_jax import atomic_files
from avlgan_jax.data.records import NO_EXPRESSION
from avlgan_jax.datasets import features, locating, pool
from avlgan_jax.datasets.builder import FacesBuilder
from avlgan_jax.datasets.locating import Photograph, Rejection
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, detectors, emotions
from avlgan_jax.faces.detectors import annotation

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of every data set of photographs: landmarks, crop, and the limit on damaged images."""

    landmarks: str = "fan"
    """Source of the landmarks: fan (2-D), fan3d (2-D and 3-D), dlib, or annotation (supplied with the data set).
    fan-yunet, fan-blazeface and fan-dlib use that face detector instead of SFD before FAN."""
    margin: float = crop.MARGIN
    """Margin on each side of the crop, as a fraction of the longer side of the landmarks' bounding box; 0 to 2."""
    max_damaged: float = 0.05
    """Largest share of damaged images: unreadable, missing, outside the folder, or a label out of range. The run stops
    above it."""

    def __post_init__(self):
        if self.landmarks != annotation.NAME:
            detectors.kind(self.landmarks)
        if not 0.0 <= self.margin <= 2.0:
            raise UserError(f"--margin {self.margin}: expected a fraction from 0 to 2")
        if not 0.0 <= self.max_damaged <= 1.0:
            raise UserError(f"--max-damaged {self.max_damaged}: expected a fraction from 0 to 1")


def split_of(subject: str, validation: float = 0.1, test: float = 0.1) -> str:
    """Return the split of a person: "train", "validation" or "test".

    It is derived from a hash of `subject`, so each person is in one split and stays there when images are added.

    Args:
        subject: Name of the person.
        validation: Share of people in the validation split, from 0 to 1.
        test: Share of people in the test split, from 0 to 1.
    """
    fraction = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big") / 2.0**64
    if fraction < validation:
        return "validation"
    return "test" if fraction < validation + test else "train"


class PhotographBuilder(FacesBuilder, skip_registration=True):
    """Base class for photographs in a manual directory. Subclasses implement `list_photographs`."""

    Options = Options

    def features_beyond(self) -> dict[str, tfds.features.FeatureConnector]:
        """Return the features that this data set adds to the common ones; `Photograph.beyond` holds their values."""
        return {}

    def list_photographs(self, folder: Path) -> Iterable[Photograph | Rejection]:
        """Return every image that the data set lists, in a fixed order.

        Args:
            folder: The manual directory.

        Returns:
            A `Photograph` for each image to find a face in, and a `Rejection` for each image that its labels exclude.

        Raises:
            UserError: If a file of labels is missing or malformed.
        """
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        beyond = self.features_beyond()
        if self.options.landmarks.startswith("fan3d"):
            beyond["landmarks_3d"] = tfds.features.Tensor(shape=(68, 3), dtype=np.float32)
        return self.dataset_info_from_configs(features=features.faces(self.resolution, **beyond))

    def _source(self, dl_manager: tfds.download.DownloadManager) -> dict:
        return {"manual_dir": str(Path(dl_manager.manual_dir).resolve()), **self.notes}

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        folder = Path(dl_manager.manual_dir)
        listed = list(self.list_photographs(folder))
        accepted, rejections = locating.locate(
            [entry for entry in listed if isinstance(entry, Photograph)],
            folder,
            detector=self.options.landmarks,
            sidecars=Path(self._data_dir_root, ".landmarks"),
            workers=self.workers,
        )
        rejections = [entry for entry in listed if isinstance(entry, Rejection)] + rejections
        _check(len(accepted), rejections, folder, self.options.max_damaged)
        self.rejections = _write_rejections(Path(self.data_path, "rejected.csv"), rejections)
        splits = {split: [face for face in accepted if face[0].split == split] for split in SPLITS}
        return {split: self._generate_examples(faces, folder, split) for split, faces in splits.items() if faces}

    def _generate_examples(
        self, accepted: list[locating.Located], folder: Path, split: str
    ) -> Iterator[tuple[str, dict]]:
        make = functools.partial(_examples, folder=folder, resolution=self.resolution, margin=self.options.margin)
        for example in pool.ordered_map(make, accepted, count=len(accepted), workers=self.workers, title=split):
            yield example["id"], example


def _examples(accepted: list[locating.Located], folder: Path, resolution: int, margin: float) -> list[dict]:
    """Return the records of a few photographs: cropped, resized and encoded, with landmarks in pixels of the crop."""
    return [_example(photograph, found, folder, resolution, margin) for photograph, found in accepted]


def _example(photograph: Photograph, found: np.ndarray, folder: Path, resolution: int, margin: float) -> dict:
    """Return the record of one photograph; `found` holds its landmarks, (68, 2) or, of fan3d, (68, 5)."""
    image = locating.open_image(photograph, folder)
    square = crop.square_around(found[:, :2], image.shape, margin)
    emotion = np.array(photograph.emotion, np.float32)  # None becomes NaN
    expression = photograph.expression
    if expression is None:
        expression = NO_EXPRESSION if np.isnan(emotion).any() else int(emotions.nearest_expression(emotion))
    example = {
        "image": io.BytesIO(features.encode_png(crop.crop_square(image, square, resolution))),
        "landmarks": square.to_crop(found[:, :2], resolution),
        "valence": emotion[0],
        "arousal": emotion[1],
        "expression": expression,
        "id": photograph.id,
        "subject": photograph.subject,
        "age_group": int(photograph.infant),
        **photograph.beyond,
    }
    if found.shape[1] == 5:  # fan3d
        example["landmarks_3d"] = square.to_crop(found[:, 2:], resolution)
    return example


def _check(accepted: int, rejections: list[Rejection], folder: Path, max_damaged: float) -> None:
    """Raise UserError if there are no images, too many damaged ones, or none that can be used."""
    damaged = [rejection for rejection in rejections if rejection.reason in locating.DAMAGE]
    total = accepted + len(rejections)
    if not total:
        raise UserError(f"no images are listed in {folder}; check --manual-dir and the files of labels in it")
    if len(damaged) > max_damaged * total:
        first = damaged[0]
        raise UserError(
            f"{len(damaged)} of {total} images of {folder} are missing, unreadable, outside the folder or have a label "
            f"out of range, more than {max_damaged:.0%}; the first is {first.path}: {first.reason}. "
            "Correct them, or raise --max-damaged"
        )
    if not accepted:
        reasons = ", ".join(f"{count} {reason}" for reason, count in _counts(rejections).items())
        raise UserError(f"none of the {total} images of {folder} can be used ({reasons}); check the images and labels")


def _counts(rejections: list[Rejection]) -> dict[str, int]:
    """Return the number of rejections for each reason, the most frequent first."""
    return dict(Counter(rejection.reason for rejection in rejections).most_common())


def _write_rejections(path: Path, rejections: list[Rejection]) -> dict[str, int]:
    """Write `rejected.csv` with the columns id, path and reason. Return the number of rejections for each reason."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(Rejection)])
    writer.writerows(dataclasses.astuple(rejection) for rejection in rejections)
    atomic_files.write_text(path, rows.getvalue())
    return _counts(rejections)
