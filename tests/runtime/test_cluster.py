"""Settings of a run of several processes, from flags and scheduler variables."""

import pytest

from avlgan_jax.errors import UserError
from avlgan_jax.runtime.cluster import Cluster, resolve

SLURM = {"SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "node[01-02]", "SLURM_NTASKS": "2", "SLURM_PROCID": "1"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}
JOB_SET = {"JAX_COORDINATOR_ADDRESS": "run-workers-0-0.run:8476", "JAX_NUM_PROCESSES": "2", "JOB_COMPLETION_INDEX": "1"}


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ({}, {}, None),
        ({}, SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, None),
        ({}, {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, None),  # the batch script itself
        ({}, SLURM, {"num_processes": 2, "process_id": 1}),
        ({}, OPEN_MPI | {"OMPI_MCA_orte_hnp_uri": "1;tcp://10.0.0.1:9"}, {"num_processes": 4, "process_id": 3}),
        (
            {"coordinator": "a:1"},
            OPEN_MPI,
            {"coordinator_address": "a:1", "num_processes": 4, "process_id": 3},
        ),
        (
            {},
            JOB_SET,
            {"coordinator_address": "run-workers-0-0.run:8476", "num_processes": 2, "process_id": 1},
        ),
        (
            {"coordinator": "here:9", "processes": 3, "process": 0},
            SLURM,
            {"coordinator_address": "here:9", "num_processes": 3, "process_id": 0},
        ),
    ],
)
def test_flags_and_scheduler_variables_are_read(flags, environment, expected):
    assert resolve(Cluster(**flags), environment, on_tpu=False) == expected


def test_jax_detects_the_cluster_itself_on_tpus():
    assert resolve(Cluster(), {}, on_tpu=True) == {}


def test_flags_that_need_the_number_of_processes_are_not_ignored_on_tpus():
    with pytest.raises(UserError, match="need --processes"):
        resolve(Cluster(coordinator="a:1"), {}, on_tpu=True)


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        ({"coordinator": "a:1"}, {}, "need --processes"),
        ({"processes": 2, "process": 0}, {}, "add --coordinator"),
        ({"processes": 2, "process": 2, "coordinator": "a:1"}, {}, "--process is 2: expected 0 to 1"),
        ({"processes": 2, "coordinator": "a:1"}, {}, "--process is None"),
        ({}, SLURM | {"SLURM_NTASKS": "two"}, "expected an integer"),
        ({}, OPEN_MPI, "add --coordinator"),
    ],
)
def test_incomplete_or_invalid_settings_are_user_errors(flags, environment, message):
    with pytest.raises(UserError, match=message):
        resolve(Cluster(**flags), environment, on_tpu=False)
