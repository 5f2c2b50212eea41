#!/bin/bash
#SBATCH --job-name=avlgan
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
# Slurm sends SIGTERM to every process two minutes before the time limit. The processes save a checkpoint and exit with
# status 75, and this script requeues the job. Submit with:
#   sbatch deploy/slurm.sh image --preset modern --data affectnet --workdir /shared/runs/affectnet
set -u
cd "${SLURM_SUBMIT_DIR:-.}"

# srun gives each process its number and the address of the first process, so train.py needs no cluster options.
srun --kill-on-bad-exit=1 --wait=120 .venv/bin/python train.py "$@"
status=$?

# 75: a checkpoint was saved and training can continue.
# 134, 137, 143: a process was lost; the last checkpoint is intact.
case $status in
    0) exit 0 ;;
    75 | 134 | 137 | 143) [ "${SLURM_RESTART_COUNT:-0}" -lt 100 ] && scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit "$status"
