"""What detectors found, kept so that nothing is detected twice: not after a crash, not for another crop or size.

One SQLite file per detector and version. SQLite because a process killed in the middle of a write leaves it whole.
It does not notice a flipped bit, so each outcome has a digest beside it: one that does not fit is detected again.
"""

import hashlib
import logging
import sqlite3
from pathlib import Path

import numpy as np

from avlgan_jax.errors import UserError

# A found face as 68 rows of (x, y) or (x, y, X, Y, Z): 2-D landmarks, and 3-D ones where the detector gives them.
Found = np.ndarray
_COMMIT_EVERY = 32
_log = logging.getLogger(__name__)


class Sidecar:
    """Outcome of a detection by key: an array (68, 2) or (68, 5) of float32, or the reason why there is none.

    One process may write while others read. Use as a context manager: leaving it commits.
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
            raise UserError(f"{self.path} cannot be used ({error}); delete it to detect again") from None

    def __enter__(self) -> "Sidecar":
        return self

    def __exit__(self, *_) -> None:
        self._database.commit()
        self._database.close()

    def get(self, key: str) -> Found | str | None:
        """What was found under this key, or None where nothing was looked for yet, or where it is damaged."""
        try:
            row = self._database.execute("SELECT reason, points, digest FROM found WHERE key = ?", (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} is damaged ({error}); delete it to detect again") from None
        if row is None:
            return None
        reason, points, digest = row
        if digest != _digest(key, reason, points):
            _log.warning("%s: what was found under %s is damaged; detecting it again", self.path, key)
            return None
        return reason if points is None else np.frombuffer(points, "<f4").reshape(68, -1)

    def put(self, key: str, outcome: Found | str) -> None:
        """Keep an outcome. It is on disk after at most a few dozen more."""
        reason, points = (outcome, None) if isinstance(outcome, str) else (None, outcome.astype("<f4").tobytes())
        row = (key, reason, points, _digest(key, reason, points))
        self._database.execute("INSERT OR REPLACE INTO found (key, reason, points, digest) VALUES (?, ?, ?, ?)", row)
        self._uncommitted += 1
        if self._uncommitted >= _COMMIT_EVERY:
            self._database.commit()
            self._uncommitted = 0


def _digest(key: str, reason: str | None, points: bytes | None) -> str:
    whole = hashlib.sha256()
    for part in (key.encode(), str(reason).encode(), bytes(points or b"")):
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()[:16]
