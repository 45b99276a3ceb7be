# Every target sets up what it needs: `make run` and `make test` work on a machine that has only Python 3.11 and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
S3_READY := $(VENV)/.s3-ready
PYTEST_ARGS ?=
# No options of this machine (index, folders of wheels) belong into a lock: versions and hashes say all.
LOCK := $(BIN)/pip-compile -q --no-emit-options --generate-hashes --strip-extras --allow-unsafe

.PHONY: help setup run test check bench screenshot docs lock contract clean rig rig-down rig-build e2e e2e-all e2e-stores bench-rig bench-retirement model-check model-check-deep call-simulator

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.lock pyproject.toml tools/make_venv.sh
	PYTHON=$(PYTHON) tools/make_venv.sh $(VENV)
	@touch $(READY)

setup: $(READY) ## Make the virtual environment from the locked dependencies

run: $(READY) ## Start the demo: a fleet sized ahead of its morning peak, with a page to look at
	$(BIN)/calltide demo $(DEMO_ARGS)

test: $(READY) ## Run every test that needs no control plane (real Prometheus included)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

model-check: $(READY) ## Step the retirement protocol through every order of events of small worlds
	$(BIN)/python -m tools.model_check

model-check-deep: $(READY) ## The same with more pods, calls and faults (a night)
	$(BIN)/python -m tools.model_check --deep

call-simulator: $(READY) ## Count how a million simulated calls end under faults (CALLS_ARGS="--without all", "--rivals")
	$(BIN)/python -m tools.call_simulator $(CALLS_ARGS)

rig-build: $(READY) ## Build the programs of the rig that the cache lacks (needs Go and root once)
	$(BIN)/python -m tests.rig build

e2e: rig-build ## Run the acceptance on a real control plane with KEDA, Asterisk, Kamailio and callers (needs root)
	$(BIN)/python -m tests.e2e.lanes $(PYTEST_ARGS)

$(S3_READY): $(READY) requirements-s3.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-s3.lock
	@touch $(S3_READY)

e2e-all: rig-build ## The same with the tests that take long: an hour and more
	$(BIN)/python -m tests.e2e.lanes --all $(PYTEST_ARGS)

e2e-stores: $(S3_READY) ## Run the archive and its sources on a real Loki and a real MinIO (needs Go once)
	$(BIN)/python -m pytest tests/stores $(PYTEST_ARGS)

rig: $(READY) ## Start a rig to use by hand, and say how (RIG=NAME for a second one)
	$(BIN)/python -m tests.rig up

rig-down: $(READY) ## Stop the rig; nothing of it is left
	$(BIN)/python -m tests.rig down

bench-rig: rig-build ## Measure 500 ScaledObjects on a rig
	$(BIN)/python -m tests.rig.enclosure $(BIN)/python -m bench.cluster $(BENCH_ARGS)

bench-retirement: rig-build ## Measure 5,000 pods of 500 fleets that retire on a rig
	$(BIN)/python -m tests.rig.enclosure $(BIN)/python -m bench.retirement $(BENCH_ARGS)

check: $(READY) ## Lint, types, import directions, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generate --check

bench: $(READY) ## Run the benchmarks and print their tables
	$(BIN)/python -m bench $(BENCH_ARGS)

screenshot: $(READY) ## Take the README's picture of the demo's page with headless Chromium
	$(BIN)/python -m tools.screenshot docs/images/demo.png

docs: $(READY) ## Write the generated pages: policy reference, JSON schema, metrics, exit codes
	$(BIN)/python -m tools.generate

contract: $(READY) ## Generate the gRPC code from KEDA's contract
	$(BIN)/python -m tools.generate_contract

lock: $(READY) ## Lock the dependencies with hashes
	$(LOCK) --upgrade -o requirements.lock pyproject.toml
	$(LOCK) --upgrade --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(LOCK) --upgrade --extra s3 -c requirements-dev.lock -o requirements-s3.lock pyproject.toml

clean: ## Remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
