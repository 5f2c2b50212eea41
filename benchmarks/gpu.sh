#!/bin/bash
# Measure training on a GPU within nine minutes, on a machine that has a driver, Python 3.11 to 3.13 and pip, and print a
# row for docs/performance.md:
#   bash benchmarks/gpu.sh [OPTIONS OF python -m benchmarks.gpu]
# The packages go to .venv-gpu. With PYTHON=... of an environment that has them, nothing is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv-gpu/bin/python}
if ! "$python" -c 'import flax, jax, jaxtyping, optax, orbax.checkpoint, PIL, scipy, torch, tqdm, tyro' 2>/dev/null; then
    python3 -m venv .venv-gpu
    python=.venv-gpu/bin/python
    # What the steps and PyTorch need, in the pinned versions; no TensorFlow.
    needed='^(jax\[|flax|optax|orbax-checkpoint|chex|etils|jaxtyping|numpy|scipy|torch|pillow|tyro|tqdm)'
    grep -E "$needed" requirements-cuda.txt > .venv-gpu/requirements.txt
    "$python" -m pip install --quiet --no-compile --disable-pip-version-check -r .venv-gpu/requirements.txt
fi
# What is left of nine minutes; a --minutes of the caller comes later and wins.
exec "$python" -m benchmarks.gpu --minutes "$(awk "BEGIN { print 9 - $SECONDS / 60 }")" "$@"
