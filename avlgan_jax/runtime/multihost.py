"""Runs of several processes: connection, data sent from the first process to the others, and a common stop.

`jax.distributed` connects the processes. All of them compute, and the first one writes the workdir. In a run of a
single process nothing is connected or sent.
"""

import collections
import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax import errors
from avlgan_jax.errors import UserError
from avlgan_jax.runtime import cluster as clusters
from avlgan_jax.runtime.cluster import Cluster
from avlgan_jax.runtime.devices import DEVICE_AXIS, device_mesh, replicate
from avlgan_jax.runtime.dispatch import State
from avlgan_jax.runtime.signals import RESTART_EXIT_CODE, Interrupted

# A process that sends no heartbeat for this long counts as dead, and the other processes exit.
HEARTBEAT_SECONDS = 60
# Statuses of XLA errors that this process causes itself; the others come from a lost connection to another process.
_OWN_FAULTS = ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "UNIMPLEMENTED", "FAILED_PRECONDITION", "OUT_OF_RANGE")
# How long the other processes wait at the end for the first one to finish writing.
SHUTDOWN_SECONDS = 600


@contextlib.contextmanager
def join_cluster(cluster: Cluster) -> Iterator[None]:
    """Connect this process to the other processes of the run for the duration of the context.

    Enter it before JAX's first computation. An exception inside the context is printed and ends this process at once,
    without waiting for the others, which then lose their connection and exit too. A process that loses its connection
    exits with RESTART_EXIT_CODE. `Interrupted` and `KeyboardInterrupt` pass through. In a run of a single process the
    context does nothing.

    Raises:
        UserError: The settings of the cluster are incomplete or invalid (`cluster.resolve`), or the processes cannot
            connect.
    """
    found = clusters.resolve(cluster, os.environ, clusters.on_tpu())
    if found is None:
        yield
        return
    # JAX's own SIGTERM listener would replace the one of `runtime.signals`.
    jax.config.update("jax_enable_preemption_service", False)
    timeouts = {"heartbeat_timeout_seconds": HEARTBEAT_SECONDS, "shutdown_timeout_seconds": SHUTDOWN_SECONDS}
    try:
        jax.distributed.initialize(**found, **timeouts)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"cannot connect to the other processes of this run ({errors.one_line(error)[:300]}); check that all of "
            "them are running and that --coordinator, --processes and --process are correct"
        ) from error
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        raise  # all processes stop at the same step, so the regular shutdown works
    except BaseException as error:
        code = _report_and_exit_code(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the regular shutdown would wait minutes for processes that wait for this one


def is_first() -> bool:
    """Return whether this is the first process, which writes the workdir."""
    return jax.process_index() == 0


def local_batch_slice(batch_size: int) -> slice:
    """Return the positions of a global batch of `batch_size` examples that this process computes."""
    part = batch_size // jax.process_count()
    return slice(jax.process_index() * part, (jax.process_index() + 1) * part)


def broadcast_state(state: State, devices: list[jax.Device]) -> State:
    """Return the first process's `state`, copied to all devices of all processes.

    The other processes pass a state with the same shapes; its values are ignored. The state then lies as a dispatch
    returns it, so that the second dispatch does not compile the step once more.
    """
    if jax.process_count() == 1:
        return replicate(state, devices)
    storable = jax.tree.map(np.asarray, state.replace(key=jax.random.key_data(state.key)))
    storable = multihost_utils.broadcast_one_to_all(storable)
    placed = replicate(jax.tree.map(np.asarray, storable), devices)
    return placed.replace(key=jax.random.wrap_key_data(placed.key))


def broadcast_text(text: str) -> str:
    """Return the first process's `text` in all processes; the text that other processes pass is ignored."""
    if jax.process_count() == 1:
        return text
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text.encode()))))
    content = np.zeros(length, np.uint8)
    if is_first():
        content[:] = np.frombuffer(text.encode(), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(content)).tobytes().decode()


def local_state(state: State) -> State:
    """Return this process's copy of a state that is replicated on all devices of all processes."""
    return state if jax.process_count() == 1 else jax.tree.map(lambda leaf: leaf.addressable_data(0), state)


class StopConsensus:
    """Agreement of all processes to stop at the same step as soon as any process has received a stop request.

    In a run of several processes the result is that of `BEHIND` calls ago, so that no process waits for a device.
    """

    BEHIND = 2

    def __init__(self, devices: list[jax.Device]):
        self._alone = jax.process_count() == 1
        if not self._alone:
            mesh = device_mesh(devices)
            self._split = NamedSharding(mesh, PartitionSpec(DEVICE_AXIS))
            self._any = jax.jit(lambda flags: flags.any(), out_shardings=NamedSharding(mesh, PartitionSpec()))
            self._local = sum(device.process_index == jax.process_index() for device in devices)
        self._pending: collections.deque[jax.Array] = collections.deque()

    def reached(self, requested: bool) -> bool:
        """Return whether the run stops now. All processes call it once per dispatch.

        Args:
            requested: Whether this process has received a stop request.
        """
        if self._alone:
            return requested
        flags = jax.make_array_from_process_local_data(self._split, np.full(self._local, requested))
        self._pending.append(self._any(flags))
        return len(self._pending) > self.BEHIND and bool(self._pending.popleft())


def _report_and_exit_code(error: BaseException) -> int:
    """Print the error that ends this process and return the exit status."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, jax.errors.JaxRuntimeError) and not str(error).startswith(_OWN_FAULTS):
        lost = UserError(
            f"another process of this run has ended or cannot be reached ({errors.one_line(error)[:200]}); restart all "
            "processes to resume from the last checkpoint"
        )
        errors.report_error(lost)
        return RESTART_EXIT_CODE
    code = errors.report_error(error)
    if code is None:
        traceback.print_exception(error)
    return 1 if code is None else code
