"""Prepared records: what `prepare.py` leaves on disk, whether it is whole, and reading it once into arrays.

    DATA_DIR/NAME/RESOLUTIONpx/VERSION/*.tfrecord*, manifest.json     written by the builders of `datasets/`
    DATA_DIR/.cache/DIGEST/SPLIT/*.npy                                written here, by the first `load`

The manifest holds the SHA-256 of every record file. `load` verifies them each time, so that a flipped byte is found
before it is trained on; the decoded arrays are memory-mapped, so that the second load is quick at any size. Nothing
here imports TensorFlow.
"""

import dataclasses
import hashlib
import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from PIL import Image
from tqdm import tqdm

from avlgan_jax import tfrecord, whole
from avlgan_jax.errors import UserError

MANIFEST = "manifest.json"
AGE_GROUPS = ("adult", "infant")
LANDMARKS_3D = "landmarks_3d"
_COMMON = ("image", "landmarks", "valence", "arousal", "expression", "id", "subject", "age_group")


@dataclasses.dataclass(frozen=True)
class Faces:
    """One split of a data set, as arrays in host memory (or mapped from disk).

    Landmarks are pixels of the image, of 2 or 3 dimensions as asked for (`load`); an emotion is (valence, arousal),
    each in [-1, 1]; expressions index `affect.EXPRESSIONS`. `extras` holds what a source knows beyond that, by its name
    in the records, for instance `landmarks_3d` float32 (n, 68, 3) or `face_key` int64 (n, 4).
    """

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 d"]
    emotions: Float[np.ndarray, "n 2"]
    expressions: Int[np.ndarray, "n"]
    infants: Bool[np.ndarray, "n"]
    ids: Shaped[np.ndarray, "n"]
    subjects: Shaped[np.ndarray, "n"]
    extras: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def resolution(self) -> int:
        """Side of the square images, in pixels."""
        return self.images.shape[1]

    def take(self, indices: Int[np.ndarray, "k"] | Bool[np.ndarray, "n"]) -> "Faces":
        """The chosen faces, in the order of `indices` (or where a mask is true), copied into memory."""
        arrays = {name: array[indices] for name, array in self._arrays().items()}
        return dataclasses.replace(self, **arrays, extras={name: a[indices] for name, a in self.extras.items()})

    def _arrays(self) -> dict[str, np.ndarray]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "extras"}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What stands in `manifest.json`: enough to verify the records, to read them and to make them again."""

    name: str
    resolution: int
    version: str
    splits: dict[str, int]  # number of faces
    contents: dict[str, str]  # SHA-256 of what the records of each split say, in their order
    files: dict[str, str]  # SHA-256 of each record file
    features: dict[str, dict]  # {"dtype": "float32" | "int64" | "str" | "png", "shape": [...]}
    options: dict  # the choices they were made with
    command: str  # the command that makes them again
    rejections: dict[str, int]  # how many images were left out, by reason

    @property
    def digest(self) -> str:
        """The data's identity: equal for equal faces in equal order, whenever and wherever they were made.

        It is made of what the records say, not of their files' bytes: protocol buffers write the features of a record
        in an order that changes from process to process.
        """
        identity = [self.name, self.resolution, sorted(self.contents.items())]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def write_manifest(directory: Path, splits: dict[str, int], **others) -> Manifest:
    """Hash the record files of `directory` and write its `manifest.json`; `others` are the other Manifest fields."""
    directory = Path(directory)
    files = {path.name: _sha256(path) for path in sorted(directory.glob("*.tfrecord*"))}
    contents = {split: _content(directory, files, split) for split in splits}
    manifest = Manifest(files=files, contents=contents, splits=splits, **others)
    whole.write_text(directory / MANIFEST, json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")
    return manifest


def find(data_dir: Path, name: str, resolution: int) -> tuple[Path, Manifest] | None:
    """Folder and manifest of the newest version prepared, or None. Raises UserError on an unreadable manifest."""
    versions = Path(data_dir, name, f"{resolution}px").glob(f"[0-9]*.[0-9]*.[0-9]*/{MANIFEST}")
    newest = max(versions, key=lambda path: _version_numbers(path.parent.name), default=None)
    if newest is None:
        return None
    try:
        return newest.parent, _sound(Manifest(**json.loads(newest.read_text())))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{newest} is damaged ({type(error).__name__}); delete {newest.parent} and make it again with: "
            + prepare_command(data_dir, name, resolution)
        ) from None


def digest(data_dir: Path, name: str, resolution: int) -> str:
    """Identity of the prepared data, as 32 hexadecimal digits. Raises UserError where there is none."""
    return _require(data_dir, name, resolution)[1].digest


def verify(data_dir: Path, name: str, resolution: int) -> Manifest:
    """Read every record file through and hold it against the manifest.

    Raises UserError when the data is missing, or naming the file that is missing or differs in any byte, with the
    command that makes it again.
    """
    directory, manifest = _require(data_dir, name, resolution)
    with ThreadPoolExecutor(max_workers=8) as pool:  # hashing leaves Python's lock
        found = list(pool.map(lambda file: _sha256(directory / file), manifest.files))
    for (file, expected), actual in zip(manifest.files.items(), found, strict=True):
        if actual != expected:
            state = "is missing" if actual is None else f"is damaged: its SHA-256 is not the one in {MANIFEST}"
            raise UserError(f"{directory / file} {state}; make it again with: {manifest.command}")
    return manifest


def load(data_dir: Path, name: str, resolution: int, split: str, dimensions: int = 2) -> Faces:
    """All faces of one split, with landmarks of 2 or 3 `dimensions`.

    The first call decodes the records into .npy files under DATA_DIR/.cache; they and every later load are
    memory-mapped. Raises UserError when the data is missing, damaged, or has no such split, or no 3-D landmarks.
    """
    _require_landmarks(data_dir, name, resolution, dimensions)
    manifest = verify(data_dir, name, resolution)
    if split not in manifest.splits:
        raise UserError(f"{name} has no split {split!r}; it has {', '.join(manifest.splits)}")
    cache = Path(data_dir, ".cache", manifest.digest, split)
    if not _cache_is_whole(cache):
        directory, _ = _require(data_dir, name, resolution)
        _write_cache(directory, manifest, split, cache)
    faces = _read_cache(cache)
    return faces if dimensions == 2 else dataclasses.replace(faces, landmarks=faces.extras[LANDMARKS_3D])


def _require_landmarks(data_dir: Path, name: str, resolution: int, dimensions: int) -> None:
    """Raise UserError where landmarks of so many dimensions are not in the data, before it is read through."""
    _, manifest = _require(data_dir, name, resolution)
    if dimensions == 3 and manifest.features.get(LANDMARKS_3D, {}).get("shape") != [68, 3]:
        raise UserError(
            f"{name} at {resolution} px in {data_dir} has no 3-D landmarks ({LANDMARKS_3D}); take 2 dimensions, or "
            f"prepare it anew with: {prepare_command(data_dir, name, resolution)} --landmarks fan3d"
        )


def drop_cache(data_dir: Path, manifest: Manifest) -> None:
    """Delete the decoded arrays of records that are no longer there."""
    shutil.rmtree(Path(data_dir, ".cache", manifest.digest), ignore_errors=True)


def prepare_command(data_dir: Path, name: str, resolution: int) -> str:
    """The command line that prepares this data, as far as it is known without a manifest."""
    manual = "" if name == "procedural_faces" else " --manual-dir DIR"
    return f"python prepare.py {name}{manual} --resolution {resolution} --data-dir {data_dir}"


def _require(data_dir: Path, name: str, resolution: int) -> tuple[Path, Manifest]:
    found = find(data_dir, name, resolution)
    if found is not None:
        return found
    manifests = Path(data_dir, name).glob(f"*px/*/{MANIFEST}")
    others = sorted({int(path.parent.parent.name.removesuffix("px")) for path in manifests})
    elsewhere = f" (it is there at {', '.join(map(str, others))} px)" if others else ""
    raise UserError(
        f"no {name} at {resolution} px in {data_dir}{elsewhere}; prepare it with: "
        + prepare_command(data_dir, name, resolution)
    )


def _sound(manifest: Manifest) -> Manifest:
    """The manifest, if it is of the right types and names files of its own folder only; else raises ValueError."""
    texts = (manifest.name, manifest.version, manifest.command, *manifest.files.values(), *manifest.contents.values())
    numbers = (manifest.resolution, *manifest.splits.values(), *manifest.rejections.values())
    named = all(Path(file).name == file for file in manifest.files)
    described = all(_is_described(feature) for feature in manifest.features.values())
    right = all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)
    if not (right and named and described and isinstance(manifest.options, dict)):
        raise ValueError("a field is not what it should be")
    return manifest


def _is_described(feature: dict) -> bool:
    shape, dtype = feature.get("shape"), feature.get("dtype")
    known = isinstance(dtype, str) and (dtype in ("png", "str") or np.dtype(dtype).kind in "biuf")
    return known and isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _sha256(path: Path) -> str | None:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _record_files(files: dict[str, str], split: str) -> list[str]:
    return sorted(file for file in files if f"-{split}.tfrecord" in file)


def _content(directory: Path, files: dict[str, str], split: str) -> str:
    whole = hashlib.sha256()
    for file in _record_files(files, split):
        for example in tfrecord.read(directory / file):
            record = hashlib.sha256()
            for name, values in sorted(example.items()):
                values = values if isinstance(values, list) else [values.tobytes()]
                for part in (name.encode(), *values):
                    record.update(len(part).to_bytes(8, "little") + part)
            whole.update(record.digest())
    return whole.hexdigest()


def _array_specs(manifest: Manifest, count: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """dtype and shape of each cached array; text is gathered in lists first, for its length is not known yet."""
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
    """One example as one row of every cached array."""
    image = Image.open(io.BytesIO(example["image"][0]))
    if image.size != specs["images"][1][2:0:-1]:  # before it is unpacked
        raise ValueError(f"a picture of {image.size} pixels")
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
    """Decode one split into .npy files of the folder `cache`."""
    specs = _array_specs(manifest, manifest.splits[split])
    try:
        with whole.folder(cache) as fresh:
            _decode(directory, manifest, split, specs, fresh)
            hashes = {path.name: _sha256(path) for path in sorted(fresh.glob("*.npy"))}
            (fresh / "cache.json").write_text(json.dumps(hashes))
    except (ValueError, KeyError, IndexError, TypeError, SyntaxError, Image.UnidentifiedImageError) as error:
        raise UserError(
            f"{directory}: the records of {split} are not what {MANIFEST} says ({error}); make them again with: "
            + manifest.command
        ) from error


def _decode(directory: Path, manifest: Manifest, split: str, specs: dict[str, tuple], folder: Path) -> None:
    arrays: dict[str, np.ndarray | list[str]] = {
        name: [] if dtype == "str" else np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
        for name, (dtype, shape) in specs.items()
    }
    count = 0
    with tqdm(total=manifest.splits[split], desc=f"decoding {split}, once", unit="faces", delay=2.0) as progress:
        for file in _record_files(manifest.files, split):
            for example in tfrecord.read(directory / file):
                for name, value in _row(example, specs).items():
                    if isinstance(arrays[name], list):
                        arrays[name].append(value)
                    else:
                        arrays[name][count] = value
                count += 1
                progress.update()
    if count != manifest.splits[split]:
        raise ValueError(f"{count} faces instead of {manifest.splits[split]}")
    for name, array in arrays.items():
        if isinstance(array, list):
            np.save(folder / f"{name}.npy", np.array(array, np.str_))
        else:
            array.flush()


def _cache_is_whole(cache: Path) -> bool:
    """Whether every cached array is what was written: what is trained on is the cache, so it is verified too."""
    try:
        hashes = json.loads((cache / "cache.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda file: _sha256(cache / file), hashes)) == list(hashes.values())


def _read_cache(cache: Path) -> Faces:
    arrays = {path.name.removesuffix(".npy"): np.load(path, mmap_mode="r") for path in sorted(cache.glob("*.npy"))}
    extras = {name: arrays.pop(name) for name in list(arrays) if name.startswith("extras.")}
    return Faces(**arrays, extras={name.removeprefix("extras."): array for name, array in extras.items()})
