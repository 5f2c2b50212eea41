"""`manifest.json` of prepared records: write it, find it, and verify the records against it."""

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
    """The content of `manifest.json`, from which the records can be verified, read and prepared again."""

    name: str
    resolution: int
    version: str
    splits: dict[str, int]  # number of faces of each split
    contents: dict[str, str]  # SHA-256 of the decoded records of each split, in their order (`content_digest`)
    files: dict[str, str]  # SHA-256 of each record file
    features: dict[str, dict]  # {"dtype": "float32" | "int64" | "str" | "png", "shape": [...]}
    options: dict  # the options of the builder that wrote the records
    command: str  # the command that prepares the records again
    rejections: dict[str, int]  # number of rejected images by reason

    @property
    def digest(self) -> str:
        """Identity of the data: equal for the same faces in the same order, 32 hexadecimal digits.

        It is computed from the decoded records, not from the bytes of the files: protocol buffers write the features
        of a record in an order that differs between processes.
        """
        identity = [self.name, self.resolution, sorted(self.contents.items())]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def write_manifest(directory: Path, splits: dict[str, int], **others) -> Manifest:
    """Hash the record files of `directory` and write its `manifest.json`.

    Args:
        directory: The folder of the record files.
        splits: Number of faces of each split.
        **others: All fields of `Manifest` except `files`, `contents` and `splits`.
    """
    directory = Path(directory)
    files = {path.name: file_sha256(path) for path in sorted(directory.glob("*.tfrecord*"))}
    contents = {split: content_digest(directory, files, split) for split in splits}
    manifest = Manifest(files=files, contents=contents, splits=splits, **others)
    atomic_files.write_text(directory / MANIFEST, json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")
    return manifest


def used_digests(data_dir: Path) -> set[str] | None:
    """Return the digests of all prepared data sets of all resolutions and versions; None if a manifest is damaged."""
    digests = set()
    for path in Path(data_dir).glob(f"*/*px/*/{MANIFEST}"):
        try:
            digests.add(_validated(Manifest(**json.loads(path.read_text()))).digest)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return None
    return digests


def find_manifest(data_dir: Path, name: str, resolution: int) -> tuple[Path, Manifest] | None:
    """Return the folder and the manifest of the newest prepared version, or None if there is no prepared version.

    Raises:
        UserError: If the newest manifest cannot be parsed or has invalid fields.
    """
    versions = Path(data_dir, name, f"{resolution}px").glob(f"[0-9]*.[0-9]*.[0-9]*/{MANIFEST}")
    newest = max(versions, key=lambda path: _version_numbers(path.parent.name), default=None)
    if newest is None:
        return None
    try:
        return newest.parent, _validated(Manifest(**json.loads(newest.read_text())))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{newest} is damaged ({type(error).__name__}); delete {newest.parent} and prepare it again with: "
            + prepare_command(data_dir, name, resolution)
        ) from None


def records_digest(data_dir: Path, name: str, resolution: int) -> str:
    """Return the identity of the prepared data (`Manifest.digest`).

    Raises:
        UserError: If the data is missing or its manifest is damaged.
    """
    return require_manifest(data_dir, name, resolution)[1].digest


def verify_records(data_dir: Path, name: str, resolution: int) -> Manifest:
    """Compare the SHA-256 of every record file with the manifest, and return the manifest.

    Raises:
        UserError: If the data or a record file is missing, or a record file is damaged. The message has the command
            that prepares the data again.
    """
    directory, manifest = require_manifest(data_dir, name, resolution)
    with ThreadPoolExecutor(max_workers=8) as pool:  # hashing releases the GIL
        found = list(pool.map(lambda file: file_sha256(directory / file), manifest.files))
    for (file, expected), actual in zip(manifest.files.items(), found, strict=True):
        if actual != expected:
            state = "is missing" if actual is None else f"is damaged: its SHA-256 is not the one in {MANIFEST}"
            raise UserError(f"{directory / file} {state}; prepare it again with: {manifest.command}")
    return manifest


def prepare_command(data_dir: Path, name: str, resolution: int) -> str:
    """Return the command that prepares this data, as far as it can be derived without a manifest."""
    manual = "" if name == "procedural_faces" else " --manual-dir DIR"
    return f"{command_line('prepare')} {name}{manual} --resolution {resolution} --data-dir {data_dir}"


def require_manifest(data_dir: Path, name: str, resolution: int) -> tuple[Path, Manifest]:
    """Return the folder and the manifest of the newest prepared version.

    Raises:
        UserError: If there is no prepared version (the message lists the prepared resolutions), or if the newest
            manifest is damaged.
    """
    found = find_manifest(data_dir, name, resolution)
    if found is not None:
        return found
    manifests = Path(data_dir, name).glob(f"*px/*/{MANIFEST}")
    others = sorted({int(path.parent.parent.name.removesuffix("px")) for path in manifests})
    available = f" (prepared: {', '.join(map(str, others))} px)" if others else ""
    raise UserError(
        f"no records of {name} at {resolution} px in {data_dir}{available}; prepare them with: "
        + prepare_command(data_dir, name, resolution)
    )


def _validated(manifest: Manifest) -> Manifest:
    """Return the manifest. Raises ValueError for a field of the wrong type or a file outside the manifest's folder."""
    texts = (manifest.name, manifest.version, manifest.command, *manifest.files.values(), *manifest.contents.values())
    numbers = (manifest.resolution, *manifest.splits.values(), *manifest.rejections.values())
    local = all(Path(file).name == file for file in manifest.files)
    described = all(_is_described(feature) for feature in manifest.features.values())
    typed = all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)
    if not (typed and local and described and isinstance(manifest.options, dict)):
        raise ValueError("a field has the wrong type, or a file is outside the folder")
    return manifest


def _is_described(feature: dict) -> bool:
    """Return whether a feature has a known dtype and a valid shape."""
    shape, dtype = feature.get("shape"), feature.get("dtype")
    known = isinstance(dtype, str) and (dtype in ("png", "str") or np.dtype(dtype).kind in "biuf")
    return known and isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)


def _version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version "1.2.3", which compare in order."""
    return tuple(int(part) for part in version.split("."))


def record_files(files: dict[str, str], split: str) -> list[str]:
    """Return the names of a split's record files, sorted. `files` has the file names as its keys."""
    return sorted(file for file in files if f"-{split}.tfrecord" in file)


def content_digest(directory: Path, files: dict[str, str], split: str) -> str:
    """Return the SHA-256 of the decoded records of a split.

    It depends on the order of the records, but not on the order of the features in a record or on the division into
    files.
    """
    total = hashlib.sha256()
    for file in record_files(files, split):
        for example in tfrecord.read(directory / file):
            record = hashlib.sha256()
            for name, values in sorted(example.items()):
                values = values if isinstance(values, list) else [values.tobytes()]
                for part in (name.encode(), *values):
                    record.update(len(part).to_bytes(8, "little") + part)
            total.update(record.digest())
    return total.hexdigest()
