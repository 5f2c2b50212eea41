"""Prepared records: verify them, and decode them once into memory-mapped arrays.

    DATA_DIR/NAME/RESOLUTIONpx/VERSION/*.tfrecord*, manifest.json     written by the builders of `avlgan_jax.datasets`
    DATA_DIR/.cache/DIGEST/SPLIT/*.npy                                written by the first `load`

The manifest has the SHA-256 of every record file. Each `load` verifies them, so that damaged data is found before
training. Later loads map the decoded arrays into memory and are fast at any size. This module does not import
TensorFlow.
"""

import dataclasses
import functools
import io
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from PIL import Image
from tqdm import tqdm

from avlgan_jax import atomic_files
from avlgan_jax.atomic_files import file_sha256
from avlgan_jax.data import tfrecord
from avlgan_jax.data.manifest import (
    MANIFEST,
    Manifest,
    prepare_command,
    record_files,
    require_manifest,
    used_digests,
    verify_records,
)
from avlgan_jax.errors import UserError

AGE_GROUPS = ("adult", "infant")
LANDMARKS_3D = "landmarks_3d"
NO_EXPRESSION = -1  # the expression of a face that has none
# Feature of dyads written before version 2: 0 where the stored arousal, also 0, is no label.
_AROUSAL_KNOWN = "arousal_known"
# Name of a folder of decoded arrays (`Manifest.digest`).
_DIGEST = re.compile("[0-9a-f]{32}")
_COMMON = ("image", "landmarks", "valence", "arousal", "expression", "id", "subject", "age_group")


@dataclasses.dataclass(frozen=True)
class Faces:
    """One split of a data set, as arrays in host memory or mapped from disk.

    Images are RGB. Landmarks have 2 or 3 dimensions (see `load`) and are in pixels of the image. An emotion is
    (valence, arousal), each in [-1, 1], or NaN where the label is absent. Expressions are indices into
    `emotions.EXPRESSIONS`, or NO_EXPRESSION. `extras` has the
    additional features of a data set by their names in the records, for instance `landmarks_3d` float32 (n, 68, 3) or
    `face_key` int64 (n, 4).
    """

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 d"]
    emotions: Float[np.ndarray, "n 2"]
    expressions: Int[np.ndarray, "n"]
    infants: Bool[np.ndarray, "n"]
    ids: Shaped[np.ndarray, "n"]
    subjects: Shaped[np.ndarray, "n"]
    extras: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    parts: tuple[int, ...] = ()
    """Sizes of the data sets that follow one another, if there are several (`data.mixed`)."""

    def __len__(self) -> int:
        return len(self.images)

    @property
    def resolution(self) -> int:
        """Side of the square images, in pixels."""
        return self.images.shape[1]

    @functools.cached_property
    def partners(self) -> Int[np.ndarray, "n k"]:
        """The indices of the other images of the same person in the same pose, for each face.

        Drawn faces with the same `face_key` differ in their emotion alone. A face that is not drawn is its own partner.

        Raises:
            UserError: Not every drawn face has the same number of partners, at least one.
        """
        keys = self.extras.get("face_key", np.full((len(self), 1), -1))
        drawn = np.flatnonzero(keys[:, 0] >= 0)
        if not len(drawn):
            return np.arange(len(self))[:, None]
        _, pose, counts = np.unique(keys[drawn], axis=0, return_inverse=True, return_counts=True)
        size = int(counts.max())
        if size < 2 or counts.min() != size:
            raise UserError(
                f"targets is paired, but poses have {counts.min()} to {size} images: expected 2 or more, the same for "
                "all; prepare the data with --emotions 2 and a multiple of as many --faces"
            )
        members = drawn[np.argsort(pose.ravel(), kind="stable")].reshape(-1, size)
        partners = np.repeat(np.arange(len(self))[:, None], size - 1, axis=1)
        for place in range(size):
            partners[members[:, place]] = np.delete(members, place, axis=1)
        return partners

    @functools.cached_property
    def alone(self) -> Bool[np.ndarray, "n"] | None:
        """Which faces are their own partners; None if none is."""
        found = (self.partners == np.arange(len(self))[:, None]).any(axis=1)
        return found if found.any() else None

    def take(self, indices: Int[np.ndarray, "k"] | Bool[np.ndarray, "n"]) -> "Faces":
        """Return a copy of the faces at `indices`, in that order, or of the faces where a mask is true."""
        arrays = {name: array[indices] for name, array in self._arrays().items()}
        extras = {name: array[indices] for name, array in self.extras.items()}
        return dataclasses.replace(self, **arrays, extras=extras, parts=())

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays except `extras` by name."""
        names = (field.name for field in dataclasses.fields(self) if field.name not in ("extras", "parts"))
        return {name: getattr(self, name) for name in names}


def load(data_dir: Path, name: str, resolution: int, split: str, dimensions: int = 2) -> Faces:
    """Return all faces of one split, memory-mapped from .npy files.

    The first call decodes the records into these files, in DATA_DIR/.cache.

    Args:
        data_dir: The folder of all prepared data sets.
        name: The name of the data set.
        resolution: The image side in pixels.
        split: The name of the split, for instance "train".
        dimensions: Coordinates per landmark, 2 or 3.

    Raises:
        UserError: If the data is missing or damaged, or has no such split, or has no 3-D landmarks.
    """
    _require_landmarks(data_dir, name, resolution, dimensions)
    manifest = verify_records(data_dir, name, resolution)
    if split not in manifest.splits:
        raise UserError(f"{name} has no split {split!r}; it has {', '.join(manifest.splits)}")
    cache = Path(data_dir, ".cache", manifest.digest, split)
    if not _cache_is_intact(cache):
        directory, _ = require_manifest(data_dir, name, resolution)
        _write_cache(directory, manifest, split, cache)
    faces = _without_invented_labels(_read_cache(cache))
    return faces if dimensions == 2 else dataclasses.replace(faces, landmarks=faces.extras[LANDMARKS_3D])


def _without_invented_labels(faces: Faces) -> Faces:
    """Return faces of old records with NaN in place of each arousal that was not rated, and no expression from it."""
    if _AROUSAL_KNOWN not in faces.extras:
        return faces
    extras = dict(faces.extras)
    unknown = np.asarray(extras.pop(_AROUSAL_KNOWN)) == 0
    emotions, expressions = np.array(faces.emotions), np.array(faces.expressions)
    emotions[unknown, 1], expressions[unknown] = np.nan, NO_EXPRESSION
    return dataclasses.replace(faces, emotions=emotions, expressions=expressions, extras=extras)


def _require_landmarks(data_dir: Path, name: str, resolution: int, dimensions: int) -> None:
    """Raise UserError if the data lacks landmarks of these `dimensions`. Reads the manifest only, not the records."""
    _, manifest = require_manifest(data_dir, name, resolution)
    if dimensions == 3 and manifest.features.get(LANDMARKS_3D, {}).get("shape") != [68, 3]:
        raise UserError(
            f"{name} at {resolution} px in {data_dir} has no 3-D landmarks ({LANDMARKS_3D}); use 2-D landmarks, "
            f"or prepare it again with: {prepare_command(data_dir, name, resolution)} --landmarks fan3d"
        )


def drop_cache(data_dir: Path, manifest: Manifest) -> None:
    """Delete the decoded arrays of the records that `manifest` describes."""
    shutil.rmtree(Path(data_dir, ".cache", manifest.digest), ignore_errors=True)


def drop_unused_caches(data_dir: Path) -> tuple[int, int]:
    """Delete the decoded arrays that belong to no prepared data set, such as those of replaced records.

    Nothing is deleted while a manifest in `data_dir` is damaged: it may belong to any of them.

    Returns:
        The numbers of deleted folders and bytes.
    """
    used = used_digests(data_dir)
    folders = [path for path in Path(data_dir, ".cache").glob("*") if _DIGEST.fullmatch(path.name) and path.is_dir()]
    unused = [path for path in folders if used is not None and path.name not in used]
    size = 0
    for folder in unused:
        size += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
    return len(unused), size


def _array_specs(manifest: Manifest, count: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype and shape of each cached array. Arrays of dtype "str" are built from lists, as text lengths vary."""
    side = manifest.resolution
    specs = {
        "images": ("uint8", (count, side, side, 3)),
        "landmarks": ("float32", (count, 68, 2)),
        "emotions": ("float32", (count, 2)),
        "expressions": ("int32", (count,)),
        "infants": ("bool", (count,)),
        "ids": ("str", (count,)),
        "subjects": ("str", (count,)),
    }
    for name, feature in manifest.features.items():
        if name not in _COMMON:
            specs[f"extras.{name}"] = (feature["dtype"], (count, *feature["shape"]))
    return specs


def _row(example: dict[str, tfrecord.Feature], specs: dict[str, tuple]) -> dict[str, np.ndarray | str]:
    """Decode one example into one row of every cached array."""
    image = Image.open(io.BytesIO(example["image"][0]))
    if image.size != specs["images"][1][2:0:-1]:  # checked before the pixels are decoded
        raise ValueError(f"an image of {image.size} pixels, expected {specs['images'][1][2:0:-1]}")
    row = {
        "images": np.asarray(image),
        "landmarks": example["landmarks"].reshape(68, 2),
        "emotions": np.concatenate([example["valence"], example["arousal"]]),
        "expressions": example["expression"][0],
        "infants": example["age_group"][0] == AGE_GROUPS.index("infant"),
        "ids": example["id"][0].decode(),
        "subjects": example["subject"][0].decode(),
    }
    for name, (dtype, shape) in specs.items():
        if name.startswith("extras."):
            value = example[name.removeprefix("extras.")]
            row[name] = value[0].decode() if dtype == "str" else value.reshape(shape[1:])
    return row


def _write_cache(directory: Path, manifest: Manifest, split: str, cache: Path) -> None:
    """Decode one split into .npy files in the folder `cache`, and write their SHA-256 to `cache.json`.

    Several trainings may start at the same time, each without a cache. The files of the first stay.
    """
    specs = _array_specs(manifest, manifest.splits[split])
    try:
        with atomic_files.atomic_folder(cache, keep=_cache_is_intact) as fresh:
            _decode(directory, manifest, split, specs, fresh)
            hashes = {path.name: file_sha256(path) for path in sorted(fresh.glob("*.npy"))}
            (fresh / "cache.json").write_text(json.dumps(hashes))
    except (ValueError, KeyError, IndexError, TypeError, SyntaxError, Image.UnidentifiedImageError) as error:
        raise UserError(
            f"{directory}: the records of split {split} do not match {MANIFEST} ({error}); prepare them again with: "
            + manifest.command
        ) from error


def _decode(directory: Path, manifest: Manifest, split: str, specs: dict[str, tuple], folder: Path) -> None:
    """Decode one split into .npy files in `folder`. Raises ValueError if its number of faces is wrong."""
    arrays: dict[str, np.ndarray | list[str]] = {
        name: [] if dtype == "str" else np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
        for name, (dtype, shape) in specs.items()
    }
    count = 0
    with tqdm(total=manifest.splits[split], desc=f"decoding {split} (once)", unit="faces", delay=2.0) as progress:
        for file in record_files(manifest.files, split):
            for example in tfrecord.read(directory / file):
                for name, value in _row(example, specs).items():
                    if isinstance(arrays[name], list):
                        arrays[name].append(value)
                    else:
                        arrays[name][count] = value
                count += 1
                progress.update()
    if count != manifest.splits[split]:
        raise ValueError(f"{count} faces, expected {manifest.splits[split]}")
    for name, array in arrays.items():
        if isinstance(array, list):
            np.save(folder / f"{name}.npy", np.array(array, np.str_))
        else:
            array.flush()


def _cache_is_intact(cache: Path) -> bool:
    """Return whether every cached array has its SHA-256. Training reads the cache, so the cache is verified too."""
    try:
        hashes = json.loads((cache / "cache.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda file: file_sha256(cache / file), hashes)) == list(hashes.values())


def _read_cache(cache: Path) -> Faces:
    """Map the cached arrays of a split into memory."""
    arrays = {path.name.removesuffix(".npy"): np.load(path, mmap_mode="r") for path in sorted(cache.glob("*.npy"))}
    extras = {name: arrays.pop(name) for name in list(arrays) if name.startswith("extras.")}
    return Faces(**arrays, extras={name.removeprefix("extras."): array for name, array in extras.items()})
