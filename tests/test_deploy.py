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


@pytest.mark.parametrize(("statuses", "exit_status"), [([0], 0), ([75, 0], 0), ([75, 2], 2)])
def test_the_tpu_script_tries_again_but_not_after_status_2(statuses, exit_status, tmp_path):
    """A stand-in for gcloud runs the remote commands here; like gcloud, it exits 1 whatever their status was."""
    home = tmp_path / "home"
    (home / "avlgan" / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "statuses").write_text("".join(f"{status}\n" for status in statuses))
    programs = {
        "gcloud": f'case "$*" in *describe*) echo READY;; *ssh*) cd {home}; bash -c "${{@: -1}}" || exit 1;; esac',
        "sleep": "",
        "git": "echo REPOSITORY",
    }
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
    python = home / "avlgan" / ".venv" / "bin" / "python"
    python.write_text(f"#!/bin/bash\nread -r s < {tmp_path}/statuses; sed -i 1d {tmp_path}/statuses; exit $s\n")
    for program in (*(tmp_path / name for name in programs), python):
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TPU": "t", "ZONE": "z", "TYPE": "v"}
    command = ["bash", str(DEPLOY / "tpu_vm.sh"), "image"]
    assert subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode == exit_status
    assert (tmp_path / "statuses").read_text() == ""  # as many attempts as statuses


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
