# From a fresh clone: `make app`, `make demo` and `make test`. PYTHON may name another interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: app demo test test-all test-chaos lint lock audit

# Python compiles what it imports; compiling every module of every package would take another minute.
$(STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and f"Python {sys.version.split()[0]} found; 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	touch $@

app: $(STAMP)
	$(BIN)/python -m avlgan_jax.app

demo: $(STAMP)
	$(BIN)/python prepare.py procedural_faces --resolution 36 --faces 6000 --data-dir data
	$(BIN)/python train.py all --preset demo --data procedural_faces --data-dir data --workdir runs/demo
	$(BIN)/python evaluate.py --workdir runs/demo --samples 1000

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

test: $(STAMP)
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(STAMP)
	$(BIN)/pytest

# Kills, full disks, flipped bits, lost processes, and half an hour of soak; `make test-chaos CHAOS="--times 2"` is shorter.
test-chaos: $(STAMP)
	PYTHONPATH=. $(BIN)/python tests/chaos.py $(CHAOS)

# What CI installs: pip install --require-hashes -r requirements.lock
lock:
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet uv
	.lock/bin/uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock

# Known vulnerabilities of what is locked; it asks pypi.org.
audit:
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet pip-audit
	.lock/bin/pip-audit -r requirements.lock --disable-pip
