"""What every builder of photographs shares: which images there are, which are taken and why, and their crops.

A data set's own builder says only which images there are and what is known of each (`Photograph`). Finding the
landmarks is `locating`; what comes after is here.
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
from avlgan_jax.datasets import features, locating, pool
from avlgan_jax.datasets.builder import FacesBuilder
from avlgan_jax.datasets.locating import Photograph, Rejection
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, detectors, emotions
from avlgan_jax.faces.detectors import annotation

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Options:
    """How faces are taken from photographs."""

    landmarks: str = "fan"
    """Where the landmarks come from: fan (2-D), fan3d (2-D and 3-D), dlib, or annotation (the data set's own).
    fan-yunet, fan-blazeface and fan-dlib find the face with another detector than SFD before FAN."""
    margin: float = crop.MARGIN
    """Share of the landmarks' extent left free on each side of the crop."""
    max_damaged: float = 0.05
    """Largest share of damaged files and impossible labels; beyond it the run stops."""

    def __post_init__(self):
        if self.landmarks != annotation.NAME:
            detectors.kind(self.landmarks)
        if not 0.0 <= self.margin <= 2.0:
            raise UserError(f"--margin {self.margin}: expected a share from 0 to 2")
        if not 0.0 <= self.max_damaged <= 1.0:
            raise UserError(f"--max-damaged {self.max_damaged}: expected a share from 0 to 1")


def split_of(subject: str, validation: float = 0.1, test: float = 0.1) -> str:
    """The split of a person, by a hash of the name: stable when images are added, and one split per person."""
    place = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big") / 2.0**64
    if place < validation:
        return "validation"
    return "test" if place < validation + test else "train"


class PhotographBuilder(FacesBuilder, skip_registration=True):
    """A builder of photographs lying in a manual directory. A data set's own builder gives `list_photographs`."""

    Options = Options

    def features_beyond(self) -> dict[str, tfds.features.FeatureConnector]:
        """The features this data set has beyond the common ones: those of each photograph's `beyond`."""
        return {}

    def list_photographs(self, folder: Path) -> Iterable[Photograph | Rejection]:
        """Every image the data set names, in an order that is always the same. Raises UserError for wrong files."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        beyond = self.features_beyond()
        if self.options.landmarks.startswith("fan3d"):
            beyond["landmarks_3d"] = tfds.features.Tensor(shape=(68, 3), dtype=np.float32)
        return self.dataset_info_from_configs(features=features.faces(self.resolution, **beyond))

    def _source(self, dl_manager: tfds.download.DownloadManager) -> dict:
        return {"manual_dir": str(Path(dl_manager.manual_dir).resolve())}

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
    """The features of a few photographs: cropped, resized and encoded, their landmarks moved along."""
    return [_example(photograph, found, folder, resolution, margin) for photograph, found in accepted]


def _example(photograph: Photograph, found: np.ndarray, folder: Path, resolution: int, margin: float) -> dict:
    image = locating.open_image(photograph, folder)
    square = crop.square_around(found[:, :2], image.shape, margin)
    emotion = np.array(photograph.emotion, np.float32)
    expression = photograph.expression
    example = {
        "image": io.BytesIO(features.encode_png(crop.crop_square(image, square, resolution))),
        "landmarks": square.to_crop(found[:, :2], resolution),
        "valence": emotion[0],
        "arousal": emotion[1],
        "expression": int(emotions.nearest_expression(emotion)) if expression is None else expression,
        "id": photograph.id,
        "subject": photograph.subject,
        "age_group": int(photograph.infant),
        **photograph.beyond,
    }
    if found.shape[1] == 5:  # fan3d
        example["landmarks_3d"] = square.to_crop(found[:, 2:], resolution)
    return example


def _check(accepted: int, rejections: list[Rejection], folder: Path, max_damaged: float) -> None:
    damaged = [rejection for rejection in rejections if rejection.reason in locating.DAMAGE]
    total = accepted + len(rejections)
    if not total:
        raise UserError(f"{folder} names no image at all")
    if len(damaged) > max_damaged * total:
        first = damaged[0]
        raise UserError(
            f"{len(damaged)} of {total} images of {folder} are damaged or wrongly labelled, more than "
            f"{max_damaged:.0%}; the first is {first.path}: {first.reason}. Mend them, or allow more with --max-damaged"
        )
    if not accepted:
        reasons = ", ".join(f"{count} {reason}" for reason, count in _counts(rejections).items())
        raise UserError(f"none of the {total} images of {folder} could be used ({reasons})")


def _counts(rejections: list[Rejection]) -> dict[str, int]:
    return dict(Counter(rejection.reason for rejection in rejections).most_common())


def _write_rejections(path: Path, rejections: list[Rejection]) -> dict[str, int]:
    """Write `rejected.csv` (id, path, reason) and count the reasons, the most frequent first."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow([field.name for field in dataclasses.fields(Rejection)])
    writer.writerows(dataclasses.astuple(rejection) for rejection in rejections)
    atomic_files.write_text(path, rows.getvalue())
    return _counts(rejections)
