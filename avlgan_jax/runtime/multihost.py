"""Many processes, one run: how they find each other, what the first tells the others, how they agree to stop.

`jax.distributed` joins the processes. The first one keeps the workdir; all compute. A run of one process needs none
of this, and every function here then does nothing.
"""

import collections
import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax import errors
from avlgan_jax.errors import UserError
from avlgan_jax.runtime import cluster as clusters
from avlgan_jax.runtime.cluster import Cluster
from avlgan_jax.runtime.devices import DEVICE_AXIS, replicate
from avlgan_jax.runtime.signals import RESTART_EXIT_CODE, Interrupted

State = Any
# A process that has said nothing for so long is taken for dead, and the others end.
HEARTBEAT_SECONDS = 60
# How long the first process may write at the end while the others wait for it.
SHUTDOWN_SECONDS = 600


@contextlib.contextmanager
def join_cluster(cluster: Cluster) -> Iterator[None]:
    """Within, this process is one of those of the run. When one ends badly, all do.

    To be entered before JAX's first computation. An error is told here and ends the process without waiting for the
    others; losing one of them ends it with RESTART_EXIT_CODE.
    """
    found = clusters.resolve(cluster, os.environ, clusters.on_tpu())
    if found is None:
        yield
        return
    # JAX's own listener would take SIGTERM away from `signals`.
    jax.config.update("jax_enable_preemption_service", False)
    timeouts = {"heartbeat_timeout_seconds": HEARTBEAT_SECONDS, "shutdown_timeout_seconds": SHUTDOWN_SECONDS}
    try:
        jax.distributed.initialize(**found, **timeouts)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes did not find each other: {errors.one_line(error)[:300]}") from error
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        raise  # all leave together
    except BaseException as error:
        code = _report_and_exit_code(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the ordinary way out would wait minutes for processes that wait for this one


def is_first() -> bool:
    """Whether this process keeps the workdir."""
    return jax.process_index() == 0


def local_batch_slice(batch_size: int) -> slice:
    """The places of a global batch that are this process's."""
    part = batch_size // jax.process_count()
    return slice(jax.process_index() * part, (jax.process_index() + 1) * part)


def broadcast_state(state: State, devices: list[jax.Device]) -> State:
    """The first process's `state`, on all devices of all processes; the others give one of the same shapes."""
    if jax.process_count() == 1:
        return state
    storable = jax.tree.map(np.asarray, state.replace(key=jax.random.key_data(state.key)))
    storable = multihost_utils.broadcast_one_to_all(storable)
    placed = replicate(jax.tree.map(np.asarray, storable), devices)
    return placed.replace(key=jax.random.wrap_key_data(placed.key))


def broadcast_text(text: str) -> str:
    """The first process's `text`."""
    if jax.process_count() == 1:
        return text
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text.encode()))))
    content = np.zeros(length, np.uint8)
    if is_first():
        content[:] = np.frombuffer(text.encode(), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(content)).tobytes().decode()


def local_state(state: State) -> State:
    """This process's own copy of a state that lies on all devices of all processes."""
    return state if jax.process_count() == 1 else jax.tree.map(lambda leaf: leaf.addressable_data(0), state)


class StopConsensus:
    """Whether any process was asked to stop, told to all of them at the same step.

    The answer is that of `BEHIND` calls ago, so that nobody waits for a device.
    """

    BEHIND = 2

    def __init__(self, devices: list[jax.Device]):
        self._alone = jax.process_count() == 1
        if not self._alone:
            mesh = _mesh(devices)
            self._split = NamedSharding(mesh, PartitionSpec(DEVICE_AXIS))
            self._any = jax.jit(lambda flags: flags.any(), out_shardings=NamedSharding(mesh, PartitionSpec()))
            self._local = sum(device.process_index == jax.process_index() for device in devices)
        self._answers: collections.deque[jax.Array] = collections.deque()

    def reached(self, asked: bool) -> bool:
        """Whether the run stops here; `asked` is whether this process was asked to. Each step calls it once."""
        if self._alone:
            return asked
        flags = jax.make_array_from_process_local_data(self._split, np.full(self._local, asked))
        self._answers.append(self._any(flags))
        return len(self._answers) > self.BEHIND and bool(self._answers.popleft())


def _mesh(devices: list[jax.Device]) -> jax.sharding.Mesh:
    return jax.sharding.Mesh(np.array(devices), (DEVICE_AXIS,))


def _report_and_exit_code(error: BaseException) -> int:
    """Say what ended this process; its exit status."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, jax.errors.JaxRuntimeError):
        lost = UserError(
            f"another process of this run has ended or cannot be reached ({errors.one_line(error)[:200]}); start all "
            "of them again to go on from the last checkpoint"
        )
        errors.report_error(lost)
        return RESTART_EXIT_CODE
    code = errors.report_error(error)
    if code is None:
        traceback.print_exception(error)
    return 1 if code is None else code
