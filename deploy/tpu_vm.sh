#!/bin/bash
# Trains on every machine of a TPU slice, and again after each preemption until the run is done. On your own machine:
#   TPU=avlgan ZONE=us-central2-b TYPE=v4-32 bash deploy/tpu_vm.sh image --preset modern --data affectnet \
#       --data-dir gs://BUCKET/data --workdir gs://BUCKET/runs/affectnet
set -u
: "${TPU:?name of the TPU}" "${ZONE:?its zone}" "${TYPE:?its type, such as v4-32}"
VERSION=${VERSION:-tpu-ubuntu2204-base}
REPOSITORY=${REPOSITORY:-$(git remote get-url origin)}

on_all() {
    gcloud compute tpus tpu-vm ssh "$TPU" --zone "$ZONE" --worker=all --command "$1"
}

state() {
    gcloud compute tpus tpu-vm describe "$TPU" --zone "$ZONE" --format 'value(state)' 2>/dev/null
}

for attempt in $(seq 100); do
    if [ "$(state)" != READY ]; then
        gcloud compute tpus tpu-vm delete "$TPU" --zone "$ZONE" --quiet 2>/dev/null
        gcloud compute tpus tpu-vm create "$TPU" --zone "$ZONE" --accelerator-type "$TYPE" --version "$VERSION" \
            --spot || { sleep 300; continue; }
    fi
    on_all "[ -d avlgan ] || git clone $REPOSITORY avlgan; cd avlgan &&
        { [ -d .venv ] || { python3 -m venv .venv && .venv/bin/pip install -q -r requirements-tpu.txt gcsfs; }; }" ||
        { sleep 60; continue; }
    # The machines of a slice know each other: no flags are needed. 75 means saved, wants to go on.
    on_all "cd avlgan && exec .venv/bin/python train.py $(printf '%q ' "$@")" && exit 0
    echo "attempt $attempt ended; going on from the last checkpoint" >&2
    sleep 30
done
exit 75
