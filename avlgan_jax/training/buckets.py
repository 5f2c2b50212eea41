"""Workdirs and data in buckets (gs://, s3://, az://), used through a local mirror.

Checkpoints, memory-mapped files and growing logs need a real file system; a bucket stores only complete objects. A run
on a bucket therefore works in a local folder. The folder is downloaded at the start, and changed files are uploaded
whenever a checkpoint is complete. The manifest of a checkpoint is uploaded after its other files, so a checkpoint whose
upload was interrupted has no manifest and is ignored.
"""

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from etils import epath

from avlgan_jax import atomic_files
from avlgan_jax.atomic_files import user_cache
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.training.checkpoints import MANIFEST

Publish = Callable[[], None]
# Folders that are not mirrored: compiled programs are specific to one machine, and `records.load` can decode again.
_EXCLUDED = (".compiled", ".cache")


def is_remote(place: str) -> bool:
    """Return whether `place` is a URL of a bucket, such as gs://bucket/run."""
    return "://" in place


def no_publish() -> None:
    """Do nothing: the `Publish` function of a local workdir."""


@contextlib.contextmanager
def open_workdir(workdir: str) -> Iterator[tuple[Path, Publish]]:
    """Yield a local folder for `workdir` and a function that uploads the folder's changes.

    For a local path, yield the path itself and `no_publish`. For a bucket, download its content first, and upload the
    last changes when the block ends without an exception.

    Raises:
        UserError: The URL has an unknown scheme, or the bucket cannot be read or written.
    """
    if not is_remote(workdir):
        yield Path(workdir), no_publish
        return
    mirror = Mirror(_bucket(workdir), _cache(workdir))
    mirror.pull()
    yield mirror.local, mirror.push
    mirror.push()


def local_data_dir(data_dir: str, name: str, resolution: int) -> Path:
    """Return a local `data_dir` with the records of one data set; download them if `data_dir` is in a bucket.

    Args:
        data_dir: Local folder or URL of a bucket that holds prepared records.
        name: Name of the data set.
        resolution: Side of the images in pixels. Only the records of this resolution are downloaded.

    Raises:
        UserError: The URL has an unknown scheme, or the bucket cannot be read.
    """
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
        self._uploaded: dict[str, tuple[int, int]] = {}

    @property
    def _unsent(self) -> Path:
        """A file next to the local folder, which exists while the folder may hold what the bucket does not."""
        return self.local.with_name(f"{self.local.name}.unsent")

    def _keep_unsent(self) -> None:
        """Move a local folder that an earlier run could not upload aside, and say where it is."""
        if not self._unsent.is_file():
            return
        if self.local.is_dir():
            kept = self.local.with_name(f"{self.local.name}.kept-{time.strftime('%Y%m%d-%H%M%S')}")
            self.local.rename(kept)
            print(f"note: an earlier run could not upload all of its files to {self.remote}; they are kept in {kept}")
        self._unsent.unlink()

    def pull(self, again: bool = True) -> None:
        """Make the local folder equal to the remote one. Local files that are not in the bucket are deleted.

        Files that an earlier run could not upload are first moved aside.

        Args:
            again: Download every file. If False, skip files whose local copy has the right size.

        Raises:
            UserError: The bucket cannot be read, or the local copy cannot be written.
        """
        with self._user_errors():
            self._keep_unsent()
            remote_files = _files(self.remote)
            for path in set(_files(self.local)) - set(remote_files):
                (self.local / path).unlink()
            for path in remote_files:
                source, target = self.remote / path, self.local / path
                if again or not target.is_file() or target.stat().st_size != source.stat().length:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with (
                        atomic_files.atomic_file(target) as partial,
                        source.open("rb") as reader,
                        partial.open("wb") as writer,
                    ):
                        shutil.copyfileobj(reader, writer)
            self._uploaded = {path: self._size_and_time(path) for path in remote_files}

    def push(self) -> None:
        """Upload what changed since the last `pull` or `push`, and delete remotely what was deleted locally.

        Manifests are uploaded last and deleted first, so that a manifest in the bucket implies complete files.

        Raises:
            UserError: The bucket cannot be written.
        """
        with self._user_errors():
            local_files = {path: self._size_and_time(path) for path in _files(self.local)}
            changed = [path for path, found in local_files.items() if self._uploaded.get(path) != found]
            self._unsent.parent.mkdir(parents=True, exist_ok=True)
            self._unsent.touch()
            for path in sorted(changed, key=lambda path: path.endswith(MANIFEST)):
                target = self.remote / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with (self.local / path).open("rb") as reader, target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)
            deleted = [path for path in self._uploaded if path not in local_files]
            for path in sorted(deleted, key=lambda path: not path.endswith(MANIFEST)):
                (self.remote / path).unlink(missing_ok=True)
            self._uploaded = local_files
            self._unsent.unlink()

    def _size_and_time(self, path: str) -> tuple[int, int]:
        """Return the size in bytes and the modification time in ns of a local file, to detect changes."""
        found = (self.local / path).stat()
        return found.st_size, found.st_mtime_ns

    @contextlib.contextmanager
    def _user_errors(self) -> Iterator[None]:
        """Turn every exception of the block into a UserError that names both folders."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # each bucket's client has its own exception types
            raise UserError(
                f"cannot access {self.remote} ({type(error).__name__}: {one_line(error)[:200]}); the local copy is in "
                f"{self.local}: the next start moves it aside, and continues from the content of the bucket"
            ) from error


def _bucket(place: str) -> epath.Path:
    """Return the path of a bucket, or raise UserError if no installed client knows its scheme."""
    try:
        return epath.Path(place)
    except KeyError:
        raise UserError(f"{place} has an unknown scheme: expected gs://, s3:// or az://") from None


def _files(folder: epath.Path | Path, below: str = "") -> list[str]:
    """Return all files below a folder as paths relative to it; an empty list if the folder does not exist."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        name = f"{below}{path.name}"
        if path.name in _EXCLUDED:
            continue
        found += _files(path, f"{name}/") if path.is_dir() else [name]
    return found


def _cache(place: str) -> Path:
    """Return the local folder that mirrors a URL."""
    return user_cache() / hashlib.sha256(place.rstrip("/").encode()).hexdigest()[:16]
