"""The job files: scripts have valid syntax, the YAML is consistent, and every option of train.py exists."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT

DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("script", sorted(path.name for path in DEPLOY.glob("*.sh")))
def test_the_script_has_valid_syntax(script):
    done = subprocess.run(["bash", "-n", str(DEPLOY / script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if shutil.which("shellcheck"):
        done = subprocess.run(["shellcheck", str(DEPLOY / script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_slurm_sends_sigterm_120_seconds_before_the_limit_and_may_requeue():
    text = (DEPLOY / "slurm.sh").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", text, flags=re.M))
    assert options["signal"] == "TERM@120" and "requeue" in options
    # Slurm ignores directives after the first command.
    first_command = re.search(r"^[^#\n]", text, flags=re.M).start()
    assert text.rindex("#SBATCH") < first_command


@pytest.mark.parametrize(
    ("status", "requeued", "exit_status"), [(0, False, 0), (75, True, 75), (134, True, 134), (2, False, 2)]
)
def test_the_slurm_script_requeues_after_status_75_and_134_only(status, requeued, exit_status, tmp_path):
    for name, body in (("srun", f"exit {status}"), ("scontrol", f"echo $@ > {tmp_path}/requeued")):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "SLURM_SUBMIT_DIR": str(tmp_path)}
    done = subprocess.run(["bash", str(DEPLOY / "slurm.sh"), "image"], env=environment, capture_output=True)
    assert done.returncode == exit_status
    assert (tmp_path / "requeued").exists() == requeued


def test_the_jobset_is_consistent():
    (jobset,) = yaml.safe_load_all((DEPLOY / "jobset.yaml").read_text())
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (workers,) = jobset["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert job["completionMode"] == "Indexed"
    assert job["parallelism"] == job["completions"] == int(variables["JAX_NUM_PROCESSES"])
    host, port = variables["JAX_COORDINATOR_ADDRESS"].split(":")
    name, subdomain = jobset["metadata"]["name"], jobset["spec"]["network"]["subdomain"]
    assert host == f"{name}-{workers['name']}-0-0.{subdomain}"
    assert int(port) in [entry["containerPort"] for entry in container["ports"]]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert_accepted(container["args"])


def test_train_accepts_the_commands_in_the_scripts():
    for script in ("slurm.sh", "tpu_vm.sh"):
        text = (DEPLOY / script).read_text().replace("\\\n#", "")
        (command,) = re.findall(rf"deploy/{script} (image .*)", text)
        assert_accepted(shlex.split(command))


def assert_accepted(arguments):
    """Assert that train.py accepts the arguments and that they train the image converter."""
    from avlgan_jax.training import run

    assert run.parse([str(argument) for argument in arguments]).model == "image"
