#!/bin/bash
# Training on all machines of a TPU slice, restarted after each preemption until the run is complete. Run it on your own
# machine:
#   TPU=avlgan ZONE=us-central2-b TYPE=v4-32 bash deploy/tpu_vm.sh image --preset modern --data affectnet \
#       --data-dir gs://BUCKET/data --workdir gs://BUCKET/runs/affectnet
set -u
: "${TPU:?set it to the name of the TPU}" "${ZONE:?set it to the zone of the TPU}" \
    "${TYPE:?set it to the type of the TPU, such as v4-32}"
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
    # JAX finds the machines of the slice itself, so train.py needs no cluster options. Status 2 is an error that another
    # attempt would repeat, such as a wrong option; gcloud does not pass it on, so a file says it. Any other status leads
    # to another attempt, such as 75: a checkpoint was saved and training can continue.
    on_all "cd avlgan && rm -f refused; .venv/bin/python train.py $(printf '%q ' "$@"); status=\$?
        [ \$status -ne 2 ] || touch refused; exit \$status" && exit 0
    if on_all "[ -e avlgan/refused ]"; then
        echo "the command was refused: see the error above" >&2
        exit 2
    fi
    echo "attempt $attempt ended before the run was complete; retrying from the last checkpoint" >&2
    sleep 30
done
exit 75
