"""Prepare a data set: from files or a seed to records with landmarks in them.

    python prepare.py procedural_faces --resolution 48

    python prepare.py diffusion_fer --manual-dir DIR

    python prepare.py NAME --help

The records lie under DATA_DIR/NAME/RESOLUTIONpx/VERSION beside `manifest.json`, and, for photographs, `rejected.csv`.
A second call finds them whole and does nothing. What is unfinished after a crash is removed and made again;
detected landmarks are kept.
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

_STYLE = (tyro.conf.FlagCreatePairsOff,)  # --again, without a --no-again


@dataclasses.dataclass(frozen=True)
class DrawnRequest(Generic[Options]):
    """A data set that needs no files."""

    data: tyro.conf.OmitArgPrefixes[Options]
    data_dir: Path = Path("data")
    """Where records are written."""
    resolution: Literal[32, 36, 48, 64, 96, 128, 256] = 128
    """Side of the square images, in pixels."""
    workers: int = os.cpu_count() or 1
    """Processes that work at once. The records do not depend on it."""
    again: bool = False
    """Make the records again though they are there, for instance with other options."""


@dataclasses.dataclass(frozen=True)
class FilesRequest(DrawnRequest[Options]):
    """A data set whose files you bring."""

    manual_dir: Path | None = None
    """The folder that holds the data set's files."""


@errors.command
def main() -> None:
    """Read the command line and prepare what it asks for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow starts: it talks
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    arguments = sys.argv[1:]
    name = arguments[0] if arguments else "--help"
    builders = _builders()
    if not name.startswith("-") and name not in builders:
        close = difflib.get_close_matches(name, builders, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UserError(f"unknown data set {name!r}; there are {', '.join(builders)}{hint}")
    request = tyro.cli(_command_line(), description=__doc__, args=arguments or ["--help"], config=_STYLE)
    prepare(name, request, f"{errors.command_line('prepare')} {shlex.join(arguments)}")


def prepare(name: str, request: DrawnRequest, command: str) -> Manifest:
    """Make the records of data set `name`, unless they are there and whole, and say what is in them.

    `command` is the command line that asks for this; it is kept in the manifest. Raises UserError for a request that
    cannot be met, or one that differs from the options of records that are there already.
    """
    _check(name, request)
    manifest = _prepared(name, request)
    if manifest is None:
        manifest = _make(name, request, command)
        print(f"{name} at {request.resolution} px is prepared in {_folder(name, request)}")
    else:
        print(f"{name} at {request.resolution} px is there and intact in {_folder(name, request)}: nothing to do")
    _summarise(manifest)
    return manifest


def _builders() -> dict:
    """Return the builders by name. TensorFlow Datasets is imported here, so that its absence is a user error."""
    from avlgan_jax.datasets.registry import BUILDERS

    return BUILDERS


def _command_line():
    """One subcommand per data set, with its own options and help."""
    commands = []
    for name, builder in _builders().items():
        form = DrawnRequest if name == "procedural_faces" else FilesRequest
        description = inspect.cleandoc(builder.__doc__).splitlines()[0]
        commands.append(Annotated[form[builder.Options], tyro.conf.subcommand(name=name, description=description)])
    return functools.reduce(operator.or_, commands)


def _check(name: str, request: DrawnRequest) -> None:
    if request.workers < 1:
        raise UserError(f"--workers {request.workers}: expected 1 or more")
    if request.data_dir.exists() and not request.data_dir.is_dir():
        raise UserError(f"--data-dir {request.data_dir} is not a folder")
    if isinstance(request, FilesRequest):
        if request.manual_dir is None:
            raise UserError(f"{name} needs the folder that holds its files: --manual-dir DIR")
        if not request.manual_dir.is_dir():
            raise UserError(f"--manual-dir {request.manual_dir}: there is no such folder")


def _prepared(name: str, request: DrawnRequest) -> Manifest | None:
    """The manifest of whole records that are what is asked for, or None where they must be made."""
    if request.again:
        return None
    found = find_manifest(request.data_dir, name, request.resolution)
    if found is None:
        return None
    folder, manifest = found
    differences = [
        f"{option}={manifest.options.get(option)!r} where {value!r} is asked for"
        for option, value in _identity(request).items()
        if manifest.options.get(option) != value
    ]
    if differences:
        raise UserError(f"{folder} was made with {', '.join(differences)}; choose another --data-dir, or add --again")
    try:
        return verify_records(request.data_dir, name, request.resolution)
    except UserError as error:
        print(f"{errors.one_line(error)}\nmaking it again", file=sys.stderr)
        return None


def _identity(request: DrawnRequest) -> dict:
    """The choices the records depend on, as they stand in the manifest."""
    choices = dataclasses.asdict(request.data)
    if isinstance(request, FilesRequest):
        choices["manual_dir"] = str(request.manual_dir.resolve())
    return choices


def _make(name: str, request: DrawnRequest, command: str) -> Manifest:
    import tensorflow_datasets as tfds

    builder_class = _builders()[name]
    _clear(name, request)
    tfds.disable_progress_bar()  # the pool has its own, with the rate and the time left
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
    """Remove what is unfinished, damaged or to be replaced, so that nothing is mixed."""
    found = find_manifest(request.data_dir, name, request.resolution) if not request.again else None
    if found is not None:
        records.drop_cache(request.data_dir, found[1])
    for path in _folder(name, request).glob("*"):
        shutil.rmtree(path)


def _folder(name: str, request: DrawnRequest) -> Path:
    return request.data_dir / name / f"{request.resolution}px"


@contextlib.contextmanager
def _unwrapped_tfds_errors():
    """TFDS wraps what happens while records are written; raise instead what a person can do something about."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError | OSError):
                raise cause from None
            if type(cause).__module__.startswith("tensorflow.python.framework.errors"):  # a full disk, for instance
                raise UserError(f"the records could not be written: {errors.one_line(cause)}") from None
            cause = cause.__cause__
        raise


def _summarise(manifest: Manifest) -> None:
    """How many faces each split has and, for photographs, how many images were left out for which reason."""
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
            f"no face is in the split {split!r}, without which nothing can be trained: give more people, "
            "or say in a column or an option who belongs to it",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
