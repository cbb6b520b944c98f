# Everything happens in .venv, which `make setup` makes and keeps up to date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test native test-long format clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## Install both distributions and the tools of development into .venv

$(VENV)/.installed: pyproject.toml device/pyproject.toml cloud/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "groupnl needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@echo "Installing groupnl and PyTorch into $(VENV): a few minutes and about 6 GB the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ./device --editable ./cloud --group dev
	@touch $@

demo: setup ## Convert, train, corrupt, export and run on a "device" without PyTorch: under 5 minutes
	$(BIN)/groupnl demo --out demo

test: setup ## What CI runs: format, lint, types, import rules, tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not long"

native: setup ## Build the native operator into .venv and test it; needs a C++ compiler
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ./device/native
	OMP_NUM_THREADS=1 $(BIN)/pytest device/native/tests

test-long: setup ## Wide sweeps, long fuzzing, 1,000 broken updates: 20 minutes; writes results/test-long.json
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.long_tests --json results/test-long.json

format: setup ## Format and fix what a tool can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## Remove what the commands above made
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
