"""Prepare a data set: write records of faces with labels and landmarks, from image files or from a seed.

    python prepare.py procedural_faces --resolution 48

    python prepare.py diffusion_fer --manual-dir DIR

    python prepare.py NAME --help

The records are written to DATA_DIR/NAME/RESOLUTIONpx/VERSION, with `manifest.json` and, for photographs,
`rejected.csv`. If they are already there and intact, nothing is done. After a crash, unfinished records are removed and
written again, but landmarks that were detected are reused.
"""

import contextlib
import dataclasses
import difflib
import functools
import inspect
import io
import operator
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import tyro

from avlgan_jax import errors
from avlgan_jax.data import records
from avlgan_jax.data.manifest import Manifest, find_manifest, verify_records
from avlgan_jax.errors import UserError

Options = TypeVar("Options")

_STYLE = (tyro.conf.FlagCreatePairsOff,)  # offer --again without --no-again


@dataclasses.dataclass(frozen=True)
class DrawnRequest(Generic[Options]):
    """Request to prepare a data set that needs no files."""

    data: tyro.conf.OmitArgPrefixes[Options]
    data_dir: Path = Path("data")
    """Folder to write the records to."""
    resolution: Literal[32, 36, 48, 64, 96, 128, 256] = 128
    """Side of the square images, in pixels."""
    workers: int = os.cpu_count() or 1
    """Number of processes. The records do not depend on it."""
    again: bool = False
    """Replace records that already exist, for example to prepare them with other options."""


@dataclasses.dataclass(frozen=True)
class FilesRequest(DrawnRequest[Options]):
    """Request to prepare a data set from files that the user supplies."""

    manual_dir: Path | None = None
    """The folder that holds the data set's files."""


@errors.command
def main() -> None:
    """Prepare the data set that the command line names."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported, to silence its log
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    arguments = sys.argv[1:]
    name = arguments[0] if arguments else "--help"
    builders = _builders()
    if not name.startswith("-") and name not in builders:
        close = difflib.get_close_matches(name, builders, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"unknown data set {name!r}; expected one of {', '.join(builders)}{hint}")
    request = tyro.cli(_command_line(), description=__doc__, args=arguments or ["--help"], config=_STYLE)
    prepare(name, request, f"{errors.command_line('prepare')} {shlex.join(arguments)}")


def prepare(name: str, request: DrawnRequest, command: str) -> Manifest:
    """Prepare the records of a data set, unless they are already there and intact, and print a summary.

    Args:
        name: Name of the data set, a key of `registry.BUILDERS`.
        request: The options.
        command: The command line of this request, stored in the manifest.

    Returns:
        The manifest of the records.

    Raises:
        UserError: If an option is invalid, records with other options are already there, the data set's files are
            missing or wrong, or the records cannot be written.
    """
    _check(name, request)
    manifest = _prepared(name, request)
    if manifest is None:
        manifest = _make(name, request, command)
        print(f"{name} at {request.resolution} px was prepared in {_folder(name, request)}")
        count, size = records.drop_unused_caches(request.data_dir)
        if count:
            print(
                f"removed decoded arrays of records that are replaced: {size / 1e6:.1f} MB in {request.data_dir}/.cache"
            )
    else:
        print(f"{name} at {request.resolution} px is already prepared and intact in {_folder(name, request)}")
    _summarise(manifest)
    return manifest


def _builders() -> dict:
    """Return the builders by name. TensorFlow Datasets is imported here, so that its absence is a user error."""
    from avlgan_jax.datasets.registry import BUILDERS

    return BUILDERS


def _command_line():
    """Return one subcommand for each data set, with its own options and help."""
    commands = []
    for name, builder in _builders().items():
        form = DrawnRequest if name == "procedural_faces" else FilesRequest
        description = inspect.cleandoc(builder.__doc__).splitlines()[0]
        commands.append(Annotated[form[builder.Options], tyro.conf.subcommand(name=name, description=description)])
    return functools.reduce(operator.or_, commands)


def _check(name: str, request: DrawnRequest) -> None:
    """Raise UserError if an option is invalid or a folder is missing."""
    if request.workers < 1:
        raise UserError(f"--workers {request.workers}: expected 1 or more")
    if request.data_dir.exists() and not request.data_dir.is_dir():
        raise UserError(f"--data-dir {request.data_dir} is not a folder; choose another place")
    if isinstance(request, FilesRequest):
        if request.manual_dir is None:
            raise UserError(f"{name} needs --manual-dir DIR, the folder that holds its files")
        if not request.manual_dir.is_dir():
            raise UserError(f"--manual-dir {request.manual_dir}: no such folder; give the folder that holds its files")


def _prepared(name: str, request: DrawnRequest) -> Manifest | None:
    """Return the manifest of intact records with the requested options, or None if records must be written."""
    if request.again:
        return None
    found = find_manifest(request.data_dir, name, request.resolution)
    if found is None:
        return None
    folder, manifest = found
    # Records of an earlier version do not name an option that came later: they have its default.
    stored = dataclasses.asdict(type(request.data)()) | manifest.options
    differences = [
        f"{option}={stored.get(option)!r} (requested: {value!r})"
        for option, value in _identity(request).items()
        if stored.get(option) != value
    ]
    if differences:
        raise UserError(
            f"{folder} was prepared with {', '.join(differences)}; "
            "choose another --data-dir, or add --again to replace it"
        )
    try:
        return verify_records(request.data_dir, name, request.resolution)
    except UserError as error:
        print(f"{errors.one_line(error)}\npreparing {name} again", file=sys.stderr)
        return None


def _identity(request: DrawnRequest) -> dict:
    """Return the options that the records depend on, in the form that the manifest stores."""
    choices = dataclasses.asdict(request.data)
    if isinstance(request, FilesRequest):
        choices["manual_dir"] = str(request.manual_dir.resolve())
    return choices


def _make(name: str, request: DrawnRequest, command: str) -> Manifest:
    """Write the records and verify them."""
    import tensorflow_datasets as tfds

    builder_class = _builders()[name]
    _clear(name, request)
    tfds.disable_progress_bar()  # `pool` shows one, with the rate and the remaining time
    with (
        tempfile.TemporaryDirectory() as downloads,
        _unwrapped_tfds_errors(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        builder = builder_class(
            options=request.data,
            workers=request.workers,
            command=command,
            data_dir=str(request.data_dir),
            config=f"{request.resolution}px",
        )
        manual_dir = str(request.manual_dir.resolve()) if isinstance(request, FilesRequest) else None
        builder.download_and_prepare(
            download_dir=downloads, download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
        )
    return verify_records(request.data_dir, name, request.resolution)


def _clear(name: str, request: DrawnRequest) -> None:
    """Remove unfinished, damaged or outdated records and their cache, so that they do not mix with new ones."""
    found = find_manifest(request.data_dir, name, request.resolution) if not request.again else None
    if found is not None:
        records.drop_cache(request.data_dir, found[1])
    for path in _folder(name, request).glob("*"):
        shutil.rmtree(path)


def _folder(name: str, request: DrawnRequest) -> Path:
    return request.data_dir / name / f"{request.resolution}px"


@contextlib.contextmanager
def _unwrapped_tfds_errors():
    """Raise the UserError or OSError that TFDS wraps in its own exceptions while it writes records."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            # TFDS's copy of an OSError lacks the error number, by which a full disk is recognised.
            if isinstance(cause, UserError) or (isinstance(cause, OSError) and cause.errno is not None):
                raise cause from None
            if type(cause).__module__.startswith("tensorflow.python.framework.errors"):  # for example a full disk
                raise UserError(f"the records could not be written: {errors.one_line(cause)}") from None
            cause = cause.__cause__
        raise


def _summarise(manifest: Manifest) -> None:
    """Print the faces of each split and, for photographs, the rejected images by reason. Warn of empty splits."""
    paper = _builders()[manifest.name].PAPER_COUNTS
    rows = [(f"{split} faces", count) for split, count in manifest.splits.items()]
    rows += [(f"{split} faces in the paper", count) for split, count in paper.items()]
    if manifest.rejections or "landmarks" in manifest.options:
        rows.append(("accepted", sum(manifest.splits.values())))
        rows += [(f"rejected: {reason}", count) for reason, count in manifest.rejections.items()]
    width = max(len(label) for label, _ in rows)
    for label, count in rows:
        print(f"  {label:<{width}}  {count:>9,}")
    for split in sorted({"train", "validation"} - manifest.splits.keys()):
        print(
            f"warning: the split {split!r} has no faces, but training needs it; add images of more people, "
            "or assign people to it by a column or an option",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
