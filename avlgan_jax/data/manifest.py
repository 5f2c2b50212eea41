"""`manifest.json` of prepared records: write it, find it, and verify the records by it."""

import dataclasses
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from avlgan_jax import atomic_files
from avlgan_jax.atomic_files import file_sha256
from avlgan_jax.data import tfrecord
from avlgan_jax.errors import UserError, command_line

MANIFEST = "manifest.json"


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
    files = {path.name: file_sha256(path) for path in sorted(directory.glob("*.tfrecord*"))}
    contents = {split: content_digest(directory, files, split) for split in splits}
    manifest = Manifest(files=files, contents=contents, splits=splits, **others)
    atomic_files.write_text(directory / MANIFEST, json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")
    return manifest


def find_manifest(data_dir: Path, name: str, resolution: int) -> tuple[Path, Manifest] | None:
    """Folder and manifest of the newest version prepared, or None. Raises UserError on an unreadable manifest."""
    versions = Path(data_dir, name, f"{resolution}px").glob(f"[0-9]*.[0-9]*.[0-9]*/{MANIFEST}")
    newest = max(versions, key=lambda path: _version_numbers(path.parent.name), default=None)
    if newest is None:
        return None
    try:
        return newest.parent, _validated(Manifest(**json.loads(newest.read_text())))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{newest} is damaged ({type(error).__name__}); delete {newest.parent} and make it again with: "
            + prepare_command(data_dir, name, resolution)
        ) from None


def records_digest(data_dir: Path, name: str, resolution: int) -> str:
    """Identity of the prepared data, as 32 hexadecimal digits. Raises UserError where there is none."""
    return require_manifest(data_dir, name, resolution)[1].digest


def verify_records(data_dir: Path, name: str, resolution: int) -> Manifest:
    """Read every record file through and hold it against the manifest.

    Raises UserError when the data is missing, or naming the file that is missing or differs in any byte, with the
    command that makes it again.
    """
    directory, manifest = require_manifest(data_dir, name, resolution)
    with ThreadPoolExecutor(max_workers=8) as pool:  # hashing leaves Python's lock
        found = list(pool.map(lambda file: file_sha256(directory / file), manifest.files))
    for (file, expected), actual in zip(manifest.files.items(), found, strict=True):
        if actual != expected:
            state = "is missing" if actual is None else f"is damaged: its SHA-256 is not the one in {MANIFEST}"
            raise UserError(f"{directory / file} {state}; make it again with: {manifest.command}")
    return manifest


def prepare_command(data_dir: Path, name: str, resolution: int) -> str:
    """The command line that prepares this data, as far as it is known without a manifest."""
    manual = "" if name == "procedural_faces" else " --manual-dir DIR"
    return f"{command_line('prepare')} {name}{manual} --resolution {resolution} --data-dir {data_dir}"


def require_manifest(data_dir: Path, name: str, resolution: int) -> tuple[Path, Manifest]:
    found = find_manifest(data_dir, name, resolution)
    if found is not None:
        return found
    manifests = Path(data_dir, name).glob(f"*px/*/{MANIFEST}")
    others = sorted({int(path.parent.parent.name.removesuffix("px")) for path in manifests})
    elsewhere = f" (it is there at {', '.join(map(str, others))} px)" if others else ""
    raise UserError(
        f"no {name} at {resolution} px in {data_dir}{elsewhere}; prepare it with: "
        + prepare_command(data_dir, name, resolution)
    )


def _validated(manifest: Manifest) -> Manifest:
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


def record_files(files: dict[str, str], split: str) -> list[str]:
    return sorted(file for file in files if f"-{split}.tfrecord" in file)


def content_digest(directory: Path, files: dict[str, str], split: str) -> str:
    whole = hashlib.sha256()
    for file in record_files(files, split):
        for example in tfrecord.read(directory / file):
            record = hashlib.sha256()
            for name, values in sorted(example.items()):
                values = values if isinstance(values, list) else [values.tobytes()]
                for part in (name.encode(), *values):
                    record.update(len(part).to_bytes(8, "little") + part)
            whole.update(record.digest())
    return whole.hexdigest()
