"""How the processes of a run find each other, read from flags and scheduler variables. Does not import JAX."""

import dataclasses
import glob
import importlib.util
from collections.abc import Mapping

from avlgan_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Cluster:
    """How the processes of a run find each other. Slurm, Open MPI, Kubernetes and TPUs set this by themselves."""

    coordinator: str | None = None
    """HOST:PORT of the first process."""
    processes: int | None = None
    """Number of processes in the run."""
    process: int | None = None
    """Number of this process, from 0."""


def resolve(cluster: Cluster, environment: Mapping[str, str], on_tpu: bool) -> dict | None:
    """Return the arguments of `jax.distributed.initialize`, or None for a run of one process.

    Flags come first. Missing values are read from the variables of JAX, Kubernetes (an indexed Job), Slurm (inside
    srun) and Open MPI (mpirun), in this order.

    Args:
        cluster: The values of the flags.
        environment: The environment variables, such as `os.environ`.
        on_tpu: Whether this machine has TPUs (see the function `on_tpu`). If so and if the number of processes is
            unknown, the result is empty and JAX detects the cluster itself.

    Raises:
        UserError: A number is not an integer, the process number is missing or out of range, the number of processes
            is missing although `--coordinator` or `--process` is set, or the coordinator's address is unknown.
    """
    slurm = {"processes": "SLURM_NTASKS", "process": "SLURM_PROCID"}
    mpi = {"processes": "OMPI_COMM_WORLD_SIZE", "process": "OMPI_COMM_WORLD_RANK"}
    plain = {"coordinator": "JAX_COORDINATOR_ADDRESS", "processes": "JAX_NUM_PROCESSES", "process": "JAX_PROCESS_ID"}
    indexed = {"process": "JOB_COMPLETION_INDEX"}
    settings = {name: value for name, value in dataclasses.asdict(cluster).items() if value is not None}
    # A batch script is a single process, whatever number of processes srun starts from it.
    in_step = "SLURM_STEP_NODELIST" in environment
    for variables in (plain, indexed, *([slurm] if in_step else []), mpi):
        for name, variable in variables.items():
            if variable in environment:
                settings.setdefault(name, environment[variable])
    # JAX itself reads the coordinator's address from the variables of Slurm and older versions of Open MPI.
    reads_address = in_step or "OMPI_MCA_orte_hnp_uri" in environment
    if "processes" not in settings:
        if cluster.coordinator is not None or cluster.process is not None:
            raise UserError(
                "the number of processes is not set: --coordinator and --process need --processes; add --processes N"
            )
        return {} if on_tpu else None
    processes, process = _integer("processes", settings["processes"]), _integer("process", settings.get("process", -1))
    if processes == 1:
        return None
    if not 0 <= process < processes:
        raise UserError(
            f"--process is {settings.get('process')}: expected 0 to {processes - 1}, a different number in each process"
        )
    if "coordinator" not in settings and not reads_address:
        raise UserError(
            f"the coordinator's address is not set for a run of {processes} processes: add --coordinator HOST:PORT, "
            "the address of the first process"
        )
    found = {"num_processes": processes, "process_id": process}
    return found | ({"coordinator_address": settings["coordinator"]} if "coordinator" in settings else {})


def _integer(name: str, value: object) -> int:
    try:
        return int(value)
    except ValueError:
        raise UserError(f"--{name} is {value!r}: expected an integer") from None


def on_tpu() -> bool:
    """Return whether this machine has TPU devices and the libtpu package that drives them."""
    return importlib.util.find_spec("libtpu") is not None and bool(glob.glob("/dev/accel*") + glob.glob("/dev/vfio/*"))
