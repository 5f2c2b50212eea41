"""A cache of detected landmarks, so that no image is detected again after a crash or for another crop or resolution.

There is one SQLite file per detector and version. SQLite keeps the file consistent if a process is killed during a
write. It does not detect flipped bits, so each detection is stored with a digest; a damaged detection is repeated.
"""

import hashlib
import logging
import sqlite3
from pathlib import Path

import numpy as np

from avlgan_jax.errors import UserError

# A detected face: 68 rows of (x, y), or of (x, y, X, Y, Z) if the detector finds 2-D and 3-D landmarks.
Found = np.ndarray
_COMMIT_EVERY = 32
_log = logging.getLogger(__name__)


class Sidecar:
    """A cache of detections: landmarks float32 (68, 2) or (68, 5), or the reason for a rejection, by key.

    One process may write while others read. As a context manager, it commits and closes the file on exit.

    Args:
        folder: The folder of the SQLite file, created if missing.
        detector: The name of the detector.
        version: The version of the detector.

    Raises:
        UserError: If the file is not a usable SQLite database.
    """

    def __init__(self, folder: Path, detector: str, version: str):
        self.path = Path(folder, f"{detector}-{version}.sqlite")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._uncommitted = 0
        try:
            self._database = sqlite3.connect(self.path, timeout=60.0)
            self._database.execute("PRAGMA journal_mode=WAL")
            columns = "key TEXT PRIMARY KEY, reason TEXT, points BLOB, digest TEXT"
            self._database.execute(f"CREATE TABLE IF NOT EXISTS found ({columns})")
            if "digest" not in [column[1] for column in self._database.execute("PRAGMA table_info(found)")]:
                self._database.execute("ALTER TABLE found ADD COLUMN digest TEXT")
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} cannot be used ({error}); delete it to repeat the detections") from None

    def __enter__(self) -> "Sidecar":
        return self

    def __exit__(self, *_) -> None:
        self._database.commit()
        self._database.close()

    def get(self, key: str) -> Found | str | None:
        """Return the stored detection, or None if there is none or it is damaged.

        Raises:
            UserError: If the file is damaged.
        """
        try:
            row = self._database.execute("SELECT reason, points, digest FROM found WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} is damaged ({error}); delete it to repeat the detections") from None
        if row is None:
            return None
        reason, points, digest = row
        if digest != _digest(key, reason, points):
            _log.warning("%s: the detection with key %s is damaged; detecting it again", self.path, key)
            return None
        return reason if points is None else np.frombuffer(points, "<f4").reshape(68, -1)

    def put(self, key: str, outcome: Found | str) -> None:
        """Store landmarks or a reason. They are committed after every 32 calls and on exit."""
        reason, points = (outcome, None) if isinstance(outcome, str) else (None, outcome.astype("<f4").tobytes())
        row = (key, reason, points, _digest(key, reason, points))
        self._database.execute("INSERT OR REPLACE INTO found (key, reason, points, digest) VALUES (?, ?, ?, ?)", row)
        self._uncommitted += 1
        if self._uncommitted >= _COMMIT_EVERY:
            self._database.commit()
            self._uncommitted = 0


def _digest(key: str, reason: str | None, points: bytes | None) -> str:
    """Return the digest of a stored row."""
    total = hashlib.sha256()
    for part in (key.encode(), str(reason).encode(), bytes(points or b"")):
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()[:16]
