"""Workdirs and data in buckets (gs://, s3://): a local mirror to work in, brought in at the start and out at each save.

Checkpoints, maps of memory and logs that grow need a real file system; a bucket has only whole files. So a run on one
trains in a local folder, and everything that changed goes out whenever a checkpoint is whole. A checkpoint's manifest
goes out after its files: one that was cut short on its way has none and does not count.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from etils import epath

from avlgan_jax import atomic_files
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.training.checkpoints import MANIFEST

Publish = Callable[[], None]
# Not worth carrying: compiled programs are for one machine.
_LEFT_OUT = (".compiled", ".cache")


def is_remote(place: str) -> bool:
    """Whether `place` is a bucket's path."""
    return "://" in place


def no_publish() -> None:
    """What there is to publish of a local folder."""


@contextlib.contextmanager
def open_workdir(workdir: str) -> Iterator[tuple[Path, Publish]]:
    """A local folder to work in as `workdir`, and what brings its changes there; the folder itself where it is local.

    Raises UserError when the bucket cannot be reached.
    """
    if not is_remote(workdir):
        yield Path(workdir), no_publish
        return
    mirror = Mirror(_bucket(workdir), _cache(workdir))
    mirror.pull()
    yield mirror.local, mirror.push
    mirror.push()


def local_data_dir(data_dir: str, name: str, resolution: int) -> Path:
    """A local `data_dir` that holds the records of one data set, fetched where they lie in a bucket."""
    if not is_remote(data_dir):
        return Path(data_dir)
    records = f"{name}/{resolution}px"
    mirror = Mirror(_bucket(data_dir) / records, _cache(data_dir) / records)
    mirror.pull(again=False)
    return _cache(data_dir)


class Mirror:
    """A folder in a bucket and its local copy."""

    def __init__(self, remote: epath.Path, local: Path):
        self.remote, self.local = remote, local
        self._sent: dict[str, tuple[int, int]] = {}

    def pull(self, again: bool = True) -> None:
        """Make the local folder what the remote one is; without `again`, files of the right size stay as they are."""
        with self._telling():
            there = _files(self.remote)
            for path in set(_files(self.local)) - set(there):
                (self.local / path).unlink()
            for path in there:
                source, target = self.remote / path, self.local / path
                if again or not target.is_file() or target.stat().st_size != source.stat().length:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with (
                        atomic_files.atomic_file(target) as partial,
                        source.open("rb") as reader,
                        partial.open("wb") as writer,
                    ):
                        shutil.copyfileobj(reader, writer)
            self._sent = {path: self._look(path) for path in there}

    def push(self) -> None:
        """Bring out what changed since the last time, manifests after all else, and delete what is gone here."""
        with self._telling():
            here = {path: self._look(path) for path in _files(self.local)}
            changed = [path for path, looks in here.items() if self._sent.get(path) != looks]
            for path in sorted(changed, key=lambda path: path.endswith(MANIFEST)):
                target = self.remote / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with (self.local / path).open("rb") as reader, target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)
            gone = [path for path in self._sent if path not in here]
            for path in sorted(gone, key=lambda path: not path.endswith(MANIFEST)):
                (self.remote / path).unlink(missing_ok=True)
            self._sent = here

    def _look(self, path: str) -> tuple[int, int]:
        found = (self.local / path).stat()
        return found.st_size, found.st_mtime_ns

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # each kind of bucket has exceptions of its own
            raise UserError(
                f"{self.remote} cannot be used ({type(error).__name__}: {one_line(error)[:200]}); what was done is in "
                f"{self.local}"
            ) from error


def _bucket(place: str) -> epath.Path:
    try:
        return epath.Path(place)
    except KeyError:
        raise UserError(f"{place} is in no kind of bucket that is known: expected gs://, s3:// or az://") from None


def _files(folder: epath.Path | Path, below: str = "") -> list[str]:
    """The files in a folder, as paths relative to it; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        name = f"{below}{path.name}"
        if path.name in _LEFT_OUT:
            continue
        found += _files(path, f"{name}/") if path.is_dir() else [name]
    return found


def _cache(place: str) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "avlgan_jax" / hashlib.sha256(place.rstrip("/").encode()).hexdigest()[:16]
