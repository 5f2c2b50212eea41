"""Orbax checkpoints of a training state: saved in the background, the newest and the best kept, restored exactly.

Orbax restores a file with a flipped byte without an error and accepts an empty folder as a checkpoint. Each save is
therefore completed by a manifest with the SHA-256 of its files. A step without a manifest is an incomplete save. A step
that disagrees with its manifest is logged as damaged, and the newest intact one is used instead.
"""

import contextlib
import json
import logging
import math
import shutil
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy as policies

from avlgan_jax import atomic_files
from avlgan_jax.atomic_files import file_sha256
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.runtime.dispatch import State

MANIFEST = "sha256.json"
# Orbax's subfolders of a step: the state and the score it was saved with.
_STATE, _SCORES = "default", "metrics"
_log = logging.getLogger(__name__)
# Silence Orbax's log: housekeeping, and a traceback for each thread that fails to write. It also raises these errors.
logging.getLogger("absl").setLevel(logging.CRITICAL)
# Bytes that a save needs in addition to the arrays: Orbax's metadata, the manifest, and room for logs and samples.
_METADATA_BYTES = 2**19


class Checkpoints:
    """The checkpoints of one model, one folder per step.

    Opening them for writing removes incomplete saves and steps whose score is damaged.

    Args:
        directory: Folder of the checkpoints. Created unless `read_only`.
        keep: Number of newest checkpoints to keep, in addition to the one with the highest score.
        read_only: Change nothing on disk, for example because a training run may be saving there at the same time.

    Raises:
        UserError: The scores of all checkpoints are damaged (not with `read_only`).
    """

    def __init__(self, directory: Path, keep: int, read_only: bool = False):
        self.directory = directory.absolute()
        # The save in progress: its step, and a future that is done when the files and the manifest are on disk.
        self._pending_save: tuple[int, Future] | None = None
        self._manifest_writer = ThreadPoolExecutor(1, "seal")
        self._read_only = read_only
        # Of several processes only this one saves, so Orbax must not wait for the others.
        self._multiprocessing = ocp.options.MultiprocessingOptions()
        if jax.process_count() > 1:
            this = jax.process_index()
            self._multiprocessing = ocp.options.MultiprocessingOptions(
                primary_host=this, active_processes={this}, barrier_sync_key_prefix=f"process{this}"
            )
        # Readers do without a CheckpointManager: it reads every step's score when it starts and fails on a damaged one.
        self._restorer = ocp.Checkpointer(self._handler(), multiprocessing_options=self._multiprocessing)
        if not read_only:
            directory.mkdir(parents=True, exist_ok=True)
            self._clear()
            self._manager = self._make_manager(keep)

    def _handler(self) -> ocp.StandardCheckpointHandler:
        """Return an Orbax handler for one state."""
        return ocp.StandardCheckpointHandler(multiprocessing_options=self._multiprocessing)

    def _clear(self) -> None:
        """Remove incomplete saves and steps whose score is damaged."""
        for step in set(self._folders()) - set(self._complete_steps()):
            shutil.rmtree(self.directory / str(step))
        problems = {step: self._problem(step, _SCORES) for step in self._complete_steps()}
        self._discard_damaged({step: problem for step, problem in problems.items() if problem}, among=problems)

    def _make_manager(self, keep: int) -> ocp.CheckpointManager:
        """Return an Orbax manager that keeps the `keep` newest steps and the best one."""
        best = policies.BestN(n=1, get_metric_fn=_score, reverse=False, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(n=keep), best]),
            best_fn=_score,  # without it, scores are not stored and are lost at the next start
            create=False,
            multiprocessing_options=self._multiprocessing,
        )
        return ocp.CheckpointManager(self.directory, item_handlers=self._handler(), options=options)

    def save(self, step: int, state: State, score: float) -> None:
        """Start to save `state` in the background. It is complete at the latest after the next `save` or `wait`.

        Args:
            step: Number of steps done; names the checkpoint's folder.
            state: State to save; its `key` is a typed random key.
            score: Validation score, higher is better.

        Raises:
            UserError: The disk is full or not writable, for this save or the one before.
        """
        self.wait()
        self.require_space(step, state)
        with self._disk_errors(step):
            # With several processes Orbax rejects a JAX array that is local to one of them; it accepts a numpy array.
            storable = _storable(state) if jax.process_count() == 1 else jax.device_get(_storable(state))
            self._manager.save(step, args=ocp.args.StandardSave(storable), metrics={"score": score}, force=True)
        self._pending_save = step, self._manifest_writer.submit(self._finish, step)

    def require_space(self, step: int, state: State) -> None:
        """Check that `state` fits on the disk before anything is written.

        Raises:
            UserError: The free space is smaller than the arrays of `state` and the metadata.
        """
        with self._disk_errors(step):
            needed = _METADATA_BYTES + sum(leaf.nbytes for leaf in jax.tree.leaves(_storable(state)))
            free = shutil.disk_usage(self.directory).free
            if free < needed:
                raise OSError(f"{needed / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free")

    def wait(self) -> None:
        """Wait until the save in progress, if any, is on disk with its manifest.

        Raises:
            UserError: The save failed.
        """
        if self._pending_save is None:
            return
        (step, finished), self._pending_save = self._pending_save, None
        with self._disk_errors(step):
            self._manager.wait_until_finished()  # raises the errors of Orbax's threads
            finished.result()

    def is_due(self, step: int, every: int, log_every: int) -> bool:
        """Return whether `step` is one to save.

        Args:
            step: Number of steps done.
            every: Steps between checkpoints; 0 saves at each log entry at which no save is in progress.
            log_every: Steps between log entries.
        """
        if every:
            return step % every == 0
        return step % log_every == 0 and (self._pending_save is None or self._pending_save[1].done())

    def _finish(self, step: int) -> None:
        """Write the manifest of `step` once Orbax has written its files."""
        while self._manager.is_saving_in_progress():
            time.sleep(0.02)
        if (self.directory / str(step)).is_dir():
            self._write_manifest(step)

    def latest(self) -> int | None:
        """Return the newest step whose files agree with its manifest, or None if there is no checkpoint.

        Damaged newer steps are logged as warnings. They are removed unless `read_only`, since resumed training reaches
        these steps again and saves them again.

        Raises:
            UserError: Every checkpoint is damaged. Nothing is removed then.
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
        """Log the damaged steps and remove them unless `read_only`; return whether any was removed.

        Raises UserError if every step in `among` is damaged, and removes nothing, so that the files can be inspected.
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
        """Restore the state of `step` to the first local device.

        Args:
            step: Step of a checkpoint, for example from `latest`. Its manifest is not checked here.
            like: A state, or a tree of shapes, with the structure, shapes and types of the saved state.

        Raises:
            UserError: The checkpoint is missing or does not have the shapes of `like`.
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
        """Return the score that `step` was saved with, or -inf if it has none. Not available with `read_only`."""
        metrics = self._manager.metrics(step)
        return -math.inf if metrics is None else _score(metrics)

    def close(self) -> None:
        """Complete the save in progress and stop the background threads.

        Raises:
            UserError: The save failed.
        """
        try:
            self.wait()
        finally:
            self._manifest_writer.shutdown()
            self._restorer.close()
            if not self._read_only:
                self._manager.close()

    @contextlib.contextmanager
    def _disk_errors(self, step: int):
        """Turn write errors into a UserError and remove the incomplete files of `step`."""
        try:
            yield
        except (OSError, ValueError) as error:
            # With a manifest it was complete before: training has resumed from it, and there may be no other.
            if step not in self._complete_steps():
                shutil.rmtree(self.directory / str(step), ignore_errors=True)
            for partial in self.directory.glob(f"{step}.*tmp*"):
                shutil.rmtree(partial, ignore_errors=True)
            intact = self._complete_steps()
            raise UserError(
                f"cannot save step {step} to {self.directory}: {one_line(error)[:200]}; "
                + (f"the checkpoint of step {max(intact)} is intact; " if intact else "")
                + "free some space and start again"
            ) from error

    def _folders(self) -> list[int]:
        """Return the steps that have a folder, in no particular order."""
        return [int(path.name) for path in self.directory.iterdir() if path.name.isdigit()]

    def _complete_steps(self) -> list[int]:
        """Return the steps that have a manifest, in no particular order."""
        return [step for step in self._folders() if self._manifest_path(step).exists()]

    def _manifest_path(self, step: int) -> Path:
        """Return the path of a step's manifest."""
        return self.directory / str(step) / MANIFEST

    def _write_manifest(self, step: int) -> None:
        """Write the SHA-256 of all files of a step."""
        path = self._manifest_path(step)
        atomic_files.write_text(path, json.dumps(_digests(path.parent), indent=1))

    def _problem(self, step: int, part: str = "") -> str | None:
        """Return the first file of a step, or of its subfolder `part`, that differs from the manifest; None if none."""
        try:
            expected = json.loads(self._manifest_path(step).read_text())
        except ValueError:
            return MANIFEST
        found = _digests(self.directory / str(step), part)
        return next((name for name in expected if name.startswith(part) and found.get(name) != expected[name]), None)


def _score(metrics: dict[str, float]) -> float:
    """Return the score from the metrics that Orbax stores."""
    return metrics["score"]


def _storable(state: State) -> State:
    """Replace the typed random key by an array of integers, which Orbax can store."""
    return state.replace(key=jax.random.key_data(state.key))


def _digests(folder: Path, part: str = "") -> dict[str, str]:
    """Return the SHA-256 of each file in `folder / part`, by its path relative to `folder`, without the manifest."""
    files = sorted(path for path in (folder / part).rglob("*") if path.is_file() and not path.name.startswith(MANIFEST))
    return {str(path.relative_to(folder)): file_sha256(path) for path in files}
