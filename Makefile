# Every target makes its own .venv when it is missing or older than pyproject.toml or constraints.txt. GeNN has an
# environment of its own, .venv-genn, because Brian2GeNN needs an older Brian2 and numpy.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GENN_VENV := .venv-genn
GENN_BIN := $(GENN_VENV)/bin
GENN_STAMP := $(GENN_VENV)/.installed
# what concerns Brian2 and GeNN, without what only needs numpy or torch
GENN_TESTS := tests/test_genn.py tests/test_genn_setup.py tests/test_pipelined.py tests/test_neuron.py tests/test_import.py \
	tests/test_describe.py tests/test_equality.py tests/test_learner.py tests/test_shared_weights.py

# a file's tests share what they have compiled, and stay in one process
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow venv-genn test-genn test-genn-slow lint bench clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## teach handwritten digits to a spiking network with DALTON and TFR (under 3 minutes)
	$(BIN)/brianlearn demo

test: $(STAMP) ## the tests that take seconds
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-slow: $(STAMP) ## the tests that compile C++ or train
	$(BIN)/python -m pytest $(PARALLEL) -m slow

venv-genn: $(GENN_STAMP) ## the environment for GeNN: brian2 2.5, brian2genn, numpy 1

test-genn: $(GENN_STAMP) ## the tests of Brian2 and GeNN that take seconds, in the environment for GeNN
	$(GENN_BIN)/python -m pytest $(PARALLEL) -m "not slow and not cpp_standalone" $(GENN_TESTS)

test-genn-slow: $(GENN_STAMP) ## the tests that build with GeNN; GENN_PATH must name a GeNN 4
	$(GENN_BIN)/python -m pytest -m genn tests/test_genn.py

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## the measurements in benchmarks/
	@set -e; for script in $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))); do echo "== $$script"; $(BIN)/python "$$script"; done

clean: ## remove .venv, caches and builds; results in runs/ stay
	rm -rf $(VENV) $(GENN_VENV) build dist site output *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "brianlearn needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "making $(VENV) (a minute or two)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

$(GENN_STAMP): pyproject.toml constraints-genn.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "brianlearn needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "making $(GENN_VENV) (a minute)"
	@$(PYTHON) -m venv --clear $(GENN_VENV)
	@$(GENN_BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-genn.txt -e ".[test-genn]"
	@touch $@
