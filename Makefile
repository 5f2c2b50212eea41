# `make app`, `make demo` and `make test` work in a fresh clone. Set PYTHON to use another interpreter (3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# The targets in the middle of the demo.
.PHONY: demo-regressor demo-converters
.PHONY: app demo test test-all test-chaos lint lock audit

# --no-compile: Python compiles modules at import. Compiling all modules of all packages would take another minute.
$(STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and f"Python {sys.version.split()[0]} found; 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -r requirements.txt
	touch $@

app: $(STAMP)
	$(BIN)/python -m avlgan_jax.app

demo: $(STAMP)
	$(BIN)/python prepare.py procedural_faces --resolution 36 --data-dir data
	@mkdir -p runs/demo
	@$(MAKE) --no-print-directory -j 2 demo-regressor demo-converters
	$(BIN)/python evaluate.py --workdir runs/demo --samples 1000 --split test

# The regressor needs no other model, so it trains next to the converters. Its output is kept in a file.
# Two trainings at once disturb each other less if each keeps to its own half of the cores (Linux; elsewhere empty).
HALF := $(shell echo $$(( $$(nproc 2>/dev/null || echo 0) / 2 )))
on_cores = $(shell taskset -c $(1) true 2>/dev/null && echo taskset -c $(1))
FIRST_HALF = $(call on_cores,0-$(shell echo $$(( $(HALF) - 1 ))))
SECOND_HALF = $(call on_cores,$(HALF)-$(shell echo $$(( 2 * $(HALF) - 1 ))))

DEMO := --preset demo --data procedural_faces --data-dir data --workdir runs/demo

demo-regressor:
	@echo "training the regressor next to the converters; its output is in runs/demo/regressor.txt"
	@$(SECOND_HALF) $(BIN)/python train.py regressor $(DEMO) --devices 1 > runs/demo/regressor.txt 2>&1 \
		|| { status=$$?; cat runs/demo/regressor.txt; exit $$status; }

demo-converters:
	$(FIRST_HALF) $(BIN)/python train.py landmark $(DEMO)
	$(BIN)/python train.py image $(DEMO)

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

test: $(STAMP)
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(STAMP)
	$(BIN)/pytest

# Fault injection: kills, full disks, flipped bits, lost processes, and a soak test of half an hour.
# `make test-chaos CHAOS="--times 2"` is shorter.
test-chaos: $(STAMP)
	PYTHONPATH=. $(BIN)/python tests/chaos.py $(CHAOS)

# Write the locked versions. Install them with: pip install --require-hashes -r requirements.lock
lock:
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet uv
	.lock/bin/uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock

# List known vulnerabilities of the locked versions. Needs access to pypi.org.
audit:
	$(PYTHON) -m venv .lock && .lock/bin/pip install --quiet pip-audit
	.lock/bin/pip-audit -r requirements.lock --disable-pip
