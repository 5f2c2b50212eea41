"""Orbax checkpoints of a training state: saved while training goes on, the newest and the best kept, restored exactly.

Orbax itself restores a file with a flipped byte without a word and takes an empty folder for a checkpoint. So each
save is followed by a manifest of the SHA-256 of its files; a step without one was never finished, and one that
disagrees is passed over for the newest good one, and named.
"""

import contextlib
import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from avlgan_jax import atomic_files
from avlgan_jax.errors import UserError, one_line

State = Any
MANIFEST = "sha256.json"
# Orbax's folders within a step's: the state, and the score it was saved with.
_STATE, _SCORES = "default", "metrics"
_log = logging.getLogger(__name__)
# Orbax logs its own housekeeping, and a traceback for each thread that the disk stops. What matters it raises too.
logging.getLogger("absl").setLevel(logging.CRITICAL)
# What a save takes beyond the arrays: Orbax's metadata and the manifest, with room for logs and samples.
_BESIDE = 2**19


class Checkpoints:
    """The checkpoints of one model in `directory`, one folder per step.

    The `keep` newest are kept, and the one with the highest `score` given to `save`. With `read_only`, nothing is
    changed: a training run may be saving there meanwhile.
    """

    def __init__(self, directory: Path, keep: int, read_only: bool = False):
        self.directory = directory.absolute()
        # The save under way: its step, and what ends when it is on disk and sealed.
        self._under_way: tuple[int, Future] | None = None
        self._sealer = ThreadPoolExecutor(1, "seal")
        self._read_only = read_only
        # The process that has the state saves it: of several, one does, and Orbax waits for no other.
        self._alone = ocp.options.MultiprocessingOptions()
        if jax.process_count() > 1:
            this = jax.process_index()
            self._alone = ocp.options.MultiprocessingOptions(
                primary_host=this, active_processes={this}, barrier_sync_key_prefix=f"process{this}"
            )
        # A manager reads the score of every step as it starts, and falls over a damaged one: readers do without.
        self._restorer = ocp.Checkpointer(self._handler(), multiprocessing_options=self._alone)
        if not read_only:
            directory.mkdir(parents=True, exist_ok=True)
            self._clear()
            self._manager = self._make_manager(keep)

    def _handler(self) -> ocp.StandardCheckpointHandler:
        return ocp.StandardCheckpointHandler(multiprocessing_options=self._alone)

    def _clear(self) -> None:
        """Remove saves that were cut short, and steps whose score is damaged."""
        for step in set(self._folders()) - set(self._complete_steps()):
            shutil.rmtree(self.directory / str(step))
        problems = {step: self._problem(step, _SCORES) for step in self._complete_steps()}
        self._discard_damaged({step: problem for step, problem in problems.items() if problem}, among=problems)

    def _make_manager(self, keep: int) -> ocp.CheckpointManager:
        best = policies.BestN(n=1, get_metric_fn=_score, reverse=False, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(n=keep), best]),
            best_fn=_score,  # or scores would not be written down, and forgotten at the next start
            create=False,
            multiprocessing_options=self._alone,
        )
        return ocp.CheckpointManager(self.directory, item_handlers=self._handler(), options=options)

    def save(self, step: int, state: State, score: float) -> None:
        """Begin to save `state`; it is whole as soon as it is written, at the latest by the next `save` or `wait`.

        Raises UserError when the disk refuses.
        """
        self.wait()
        self.require_space(step, state)
        with self._disk_errors(step):
            # Orbax takes an array that lies in one of several processes for a mistake, but not a numpy array.
            storable = _storable(state) if jax.process_count() == 1 else jax.device_get(_storable(state))
            self._manager.save(step, args=ocp.args.StandardSave(storable), metrics={"score": score}, force=True)
        self._under_way = step, self._sealer.submit(self._finish, step)

    def require_space(self, step: int, state: State) -> None:
        """Raise UserError where the disk has no room for `state`: before anything is written, all of it is well."""
        with self._disk_errors(step):
            needed = _BESIDE + sum(leaf.nbytes for leaf in jax.tree.leaves(_storable(state)))
            free = shutil.disk_usage(self.directory).free
            if free < needed:
                raise OSError(f"it takes {needed / 1e6:.1f} MB and {free / 1e6:.1f} MB are free")

    def wait(self) -> None:
        """Until the save under way is on disk and sealed by its manifest."""
        if self._under_way is None:
            return
        (step, finished), self._under_way = self._under_way, None
        with self._disk_errors(step):
            self._manager.wait_until_finished()  # raises what went wrong
            finished.result()

    def _finish(self, step: int) -> None:
        while self._manager.is_saving_in_progress():
            time.sleep(0.02)
        if (self.directory / str(step)).is_dir():
            self._write_manifest(step)

    def latest(self) -> int | None:
        """The newest step whose files agree with its manifest; newer ones that do not are named in the log.

        They are removed, unless this only reads: training comes to their steps again and saves them anew.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._complete_steps(), reverse=True):
            problem = self._problem(step)
            if problem is None:
                if self._discard_damaged(damaged, among=self._complete_steps()):
                    self._manager.reload()
                return step
            damaged[step] = problem
        self._discard_damaged(damaged, among=damaged)
        return None

    def _discard_damaged(self, damaged: dict[int, str], among: Collection[int]) -> bool:
        """Name the damaged steps of these, and remove them unless this only reads; whether something was removed.

        Raises UserError if none is sound: then everything stays, for somebody to look at.
        """
        for step, problem in damaged.items():
            _log.warning("checkpoint %s is damaged (%s); trying an older one", self.directory / str(step), problem)
        if damaged and len(damaged) == len(among):
            raise UserError(f"every checkpoint in {self.directory} is damaged; delete the folder and train again")
        if self._read_only:
            return False
        for step in damaged:
            shutil.rmtree(self.directory / str(step))
        return bool(damaged)

    def restore(self, step: int, like: State) -> State:
        """The state of `step`, in the shapes of `like` (a state, or its shapes), on one device.

        Raises UserError if it does not fit.
        """
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.eval_shape(_storable, like)
        abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)
        try:
            folder = self.directory / str(step) / _STATE
            found = self._restorer.restore(folder, args=ocp.args.StandardRestore(abstract))
        except (ValueError, KeyError, OSError) as error:
            raise UserError(
                f"the checkpoint {self.directory / str(step)} does not fit this model: {one_line(error)[:300]}; "
                "use the config it was trained with, or another workdir"
            ) from error
        return found.replace(key=jax.random.wrap_key_data(found.key))

    def score(self, step: int) -> float:
        """The score that `step` was saved with; not for who only reads."""
        metrics = self._manager.metrics(step)
        return -math.inf if metrics is None else _score(metrics)

    def close(self) -> None:
        """Finish the save under way and release the threads."""
        try:
            self.wait()
        finally:
            self._sealer.shutdown()
            self._restorer.close()
            if not self._read_only:
                self._manager.close()

    @contextlib.contextmanager
    def _disk_errors(self, step: int):
        """Turn a disk's refusal into a message, and leave nothing half-written."""
        try:
            yield
        except (OSError, ValueError) as error:
            shutil.rmtree(self.directory / str(step), ignore_errors=True)
            for partial in self.directory.glob(f"{step}.*tmp*"):
                shutil.rmtree(partial, ignore_errors=True)
            sound = [kept for kept in self._complete_steps() if kept != step]
            raise UserError(
                f"cannot save step {step} to {self.directory}: {one_line(error)[:200]}; "
                + (f"the checkpoint of step {max(sound)} is intact; " if sound else "")
                + "free some space and start again"
            ) from error

    def _folders(self) -> list[int]:
        return [int(path.name) for path in self.directory.iterdir() if path.name.isdigit()]

    def _complete_steps(self) -> list[int]:
        return [step for step in self._folders() if self._manifest_path(step).exists()]

    def _manifest_path(self, step: int) -> Path:
        return self.directory / str(step) / MANIFEST

    def _write_manifest(self, step: int) -> None:
        path = self._manifest_path(step)
        atomic_files.write_text(path, json.dumps(_digests(path.parent), indent=1))

    def _problem(self, step: int, part: str = "") -> str | None:
        """The first file of a step, or of a folder in it, that is not as its manifest says; None if all are."""
        try:
            expected = json.loads(self._manifest_path(step).read_text())
        except ValueError:
            return MANIFEST
        found = _digests(self.directory / str(step), part)
        return next((name for name in expected if name.startswith(part) and found.get(name) != expected[name]), None)


def _score(metrics: dict[str, float]) -> float:
    return metrics["score"]


def _storable(state: State) -> State:
    """Typed keys as the numbers they hold."""
    return state.replace(key=jax.random.key_data(state.key))


def _digests(folder: Path, part: str = "") -> dict[str, str]:
    files = sorted(path for path in (folder / part).rglob("*") if path.is_file() and not path.name.startswith(MANIFEST))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
