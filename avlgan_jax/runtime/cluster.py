"""Where the processes of one run meet, as flags or schedulers say it. Nothing here loads JAX."""

import dataclasses
import glob
import importlib.util
from collections.abc import Mapping

from avlgan_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where the processes of one run meet. Slurm, Open MPI, Kubernetes and TPU machines tell it by themselves."""

    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """How many processes there are."""
    process: int | None = None
    """Which of them this is, from 0."""


def resolve(cluster: Cluster, environment: Mapping[str, str], on_tpu: bool) -> dict | None:
    """The arguments of `jax.distributed.initialize`, or None where one process is all there is.

    What the flags leave open, the variables of Slurm (srun), Open MPI (mpirun), Kubernetes (an indexed Job) or JAX
    itself say; on TPU machines JAX asks the machine. Raises UserError where something is said but not enough.
    """
    slurm = {"processes": "SLURM_NTASKS", "process": "SLURM_PROCID"}
    mpi = {"processes": "OMPI_COMM_WORLD_SIZE", "process": "OMPI_COMM_WORLD_RANK"}
    plain = {"coordinator": "JAX_COORDINATOR_ADDRESS", "processes": "JAX_NUM_PROCESSES", "process": "JAX_PROCESS_ID"}
    indexed = {"process": "JOB_COMPLETION_INDEX"}
    said = {name: value for name, value in dataclasses.asdict(cluster).items() if value is not None}
    in_step = "SLURM_STEP_NODELIST" in environment  # a batch script is one process, whatever srun will start from it
    for variables in (plain, indexed, *([slurm] if in_step else []), mpi):
        for name, variable in variables.items():
            if variable in environment:
                said.setdefault(name, environment[variable])
    # Slurm and older Open MPI also say where the first process is, which JAX knows how to read; so do TPU machines.
    reads_address = in_step or "OMPI_MCA_orte_hnp_uri" in environment
    if "processes" not in said:
        if on_tpu:
            return {}
        if cluster.coordinator is not None or cluster.process is not None:
            raise UserError("--coordinator and --process need --processes, the number of processes in the run")
        return None
    processes, process = _integer("processes", said["processes"]), _integer("process", said.get("process", -1))
    if processes == 1:
        return None
    if not 0 <= process < processes:
        raise UserError(f"--process is {said.get('process')}: expected 0 to {processes - 1}, another in each process")
    if "coordinator" not in said and not reads_address:
        raise UserError(f"{processes} processes do not know where to meet: add --coordinator HOST:PORT of the first")
    found = {"num_processes": processes, "process_id": process}
    return found | ({"coordinator_address": said["coordinator"]} if "coordinator" in said else {})


def _integer(name: str, value: object) -> int:
    try:
        return int(value)
    except ValueError:
        raise UserError(f"--{name} is {value!r}: expected a whole number") from None


def on_tpu() -> bool:
    """Whether this machine has TPUs and the package that drives them."""
    return importlib.util.find_spec("libtpu") is not None and bool(glob.glob("/dev/accel*") + glob.glob("/dev/vfio/*"))
