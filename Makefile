# `make help` lists the targets. Everything is set up in .venv on first use, and not again until a file below changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help install train test torture lint format tensorboard bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("vidpred needs Python 3.11 or newer, got " + sys.version.split()[0] + "; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## install into .venv

train: $(VENV)/.installed ## train the default model on the embedded data; ARGS='kl_anneal=cyclical' adds options
	$(BIN)/python -m vidpred.run $(ARGS)

test: lint ## run every check
	$(BIN)/python -m pytest $(ARGS)

torture: $(VENV)/.installed-dev ## kill runs, packing and reports at random moments, and send thousands of broken files
	VIDPRED_TORTURE=20 VIDPRED_FUZZ=700 $(BIN)/python -m pytest --no-cov tests/test_torture.py tests/test_torture_files.py tests/test_fuzz.py $(ARGS)

lint: $(VENV)/.installed-dev ## check style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the sweep, or the day of single runs, that a run was added to last
RUNS ?= $(shell ls -1dt multirun/*/*/ outputs/*/ 2>/dev/null | head -n 1)
tensorboard: $(VENV)/.installed ## look at the latest sweep or day of runs; RUNS=multirun chooses others
	@test -n '$(RUNS)' || { echo "there are no runs yet: make train"; exit 2; }
	@echo "The runs in $(RUNS) (RUNS=… chooses others); what matters is under Custom Scalars."
	@$(BIN)/tensorboard --logdir '$(RUNS)' $(ARGS)

bench: $(VENV)/.installed-dev ## measure the short set, and say what got slower; ARGS=--store keeps what it finds
	$(BIN)/python tests/benchmarks/short.py $(ARGS)

clean: ## remove what checks and builds left behind; runs stay
	rm -rf build dist .artifacts .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
