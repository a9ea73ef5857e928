# Every target makes its own .venv when it is missing or older than pyproject.toml or constraints.txt. GeNN has an
# environment of its own, .venv-genn, because Brian2GeNN needs an older Brian2 and numpy. So have other Pythons, where
# pip chooses: .venv-newest, .venv-3.12 and so on, with the newest Brian2 that there is for each, and without torch.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
GENN_VENV := .venv-genn
GENN_BIN := $(GENN_VENV)/bin
GENN_STAMP := $(GENN_VENV)/.installed
# so have the simulators that read NIR, with what they bring along
NIR_VENV := .venv-nir
NIR_BIN := $(NIR_VENV)/bin
NIR_STAMP := $(NIR_VENV)/.installed
# what concerns Brian2 and GeNN, without what only needs numpy or torch
GENN_TESTS := tests/test_genn.py tests/test_genn_setup.py tests/test_pipelined.py tests/test_neuron.py tests/test_import.py \
	tests/test_describe.py tests/test_equality.py tests/test_learner.py tests/test_shared_weights.py

# what other versions of Python, numpy and Brian2 can change, without data sets and the command line
BRIAN_TESTS := tests/test_neuron.py tests/test_import.py tests/test_equality.py tests/test_learner.py tests/test_shared_weights.py \
	tests/test_rules.py tests/test_compile.py tests/test_standalone.py

# of these, what stands for the others on the Pythons between the oldest and the newest
OTHER_TESTS := tests/test_neuron.py tests/test_import.py tests/test_learner.py tests/test_rules.py

# and what users run with the newest of them
NEWEST_TESTS := $(BRIAN_TESTS) tests/test_pipelined.py tests/test_describe.py tests/test_noise.py tests/test_export.py \
	tests/test_workers.py tests/test_plain_meaning.py

# a file's tests share what they have compiled, and stay in one process
PARALLEL := -n auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-newest gpu gpu-parts gpu-rehearsal venv-genn test-genn test-genn-slow test-nir lint release-check mutants bench docs tutorials clean
# an environment stays, and is made by the name of its Python
.PRECIOUS: .venv-%/.installed

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9.%-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## teach handwritten digits to a spiking network with DALTON and TFR (under 3 minutes)
	$(BIN)/brianlearn demo

test: $(STAMP) ## the tests that take seconds
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow"

test-slow: $(STAMP) ## the tests that compile C++ or train
	$(BIN)/python -m pytest $(PARALLEL) -m slow

test-newest: .venv-newest/.installed ## the fast tests of Brian2 on the newest Python that is found, with the newest Brian2
	.venv-newest/bin/python -m pytest $(PARALLEL) -m "not slow" $(NEWEST_TESTS)

test-3.%: .venv-3.%/.installed ## some of the fast tests of Brian2 on another Python: make test-3.12
	.venv-3.$*/bin/python -m pytest $(PARALLEL) -m "not slow" $(OTHER_TESTS)

gpu: ## on a machine with an NVIDIA GPU: its tests and measurements, to runs/gpu/ (under 9 minutes)
	@$(PYTHON) tools/gpu.py

gpu-parts: ## what `make gpu` needs on a machine without a network, and how to fetch it
	@$(PYTHON) tools/gpu.py --parts

gpu-rehearsal: $(STAMP) ## what `make gpu` does, on the CPU and with tiny sizes
	@$(BIN)/python tools/gpu.py --rehearse

venv-genn: $(GENN_STAMP) ## the environment for GeNN: brian2 2.5, brian2genn, numpy 1

test-genn: $(GENN_STAMP) ## the tests of Brian2 and GeNN that take seconds, in the environment for GeNN
	$(GENN_BIN)/python -m pytest $(PARALLEL) -m "not slow and not cpp_standalone" $(GENN_TESTS)

test-genn-slow: $(GENN_STAMP) ## the tests that build with GeNN; GENN_PATH must name a GeNN 4
	$(GENN_BIN)/python -m pytest -m genn tests/test_genn.py

test-nir: $(NIR_STAMP) ## NIR files in snnTorch, Norse and SpikingJelly: tests, and the table of spikes that differ
	$(NIR_BIN)/python -m pytest tests/test_nir.py tests/test_nir_importers.py
	$(NIR_BIN)/python benchmarks/nir_importers.py

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

release-check: $(STAMP) ## wheel and sdist: built, looked into, and used in clean environments of three Pythons, without torch
	$(BIN)/python tools/release_check.py

mutants: $(STAMP) ## faults that tests must find, put in one after another
	$(BIN)/python tests/mutants.py

bench: $(STAMP) ## the measurements in benchmarks/
	@set -e; for script in $(sort $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))); do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(STAMP) ## the documentation as pages, in site/
	$(BIN)/python -m mkdocs build --strict

tutorials: $(STAMP) ## run the notebooks in docs/tutorials/ again, and store what they print and draw
	$(BIN)/python tools/tutorials.py

clean: ## remove .venv, caches and builds; results in runs/ stay
	rm -rf $(VENV) .venv-* build dist site output *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call venv,FOLDER,PYTHON,CONSTRAINTS,EXTRA): an environment with this package and what an extra brings
define venv
@echo "making $(1) (a minute or two)"
@$(2) -m venv --clear $(1)
@$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(3) -e ".[$(4)]"
@touch $(1)/.installed
endef

define check_python
@version=$$($(PYTHON) -c 'import sys; print(*sys.version_info[:2], sep=".")') || { echo "brianlearn needs Python 3.11 or \
newer, and there is no interpreter $(PYTHON) that runs: install one, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "brianlearn needs Python 3.11 or newer, and \
$(PYTHON) is $$version: make PYTHON=python3.12 ..." >&2; exit 1; }
endef

$(STAMP): pyproject.toml constraints.txt
	$(check_python)
	$(call venv,$(VENV),$(PYTHON),-c constraints.txt,test)

$(GENN_STAMP): pyproject.toml constraints-genn.txt
	$(check_python)
	$(call venv,$(GENN_VENV),$(PYTHON),-c constraints-genn.txt,test-genn)

$(NIR_STAMP): pyproject.toml constraints.txt constraints-nir.txt
	$(check_python)
	$(call venv,$(NIR_VENV),$(PYTHON),-c constraints.txt -c constraints-nir.txt,test-nir)

.venv-%/.installed: pyproject.toml tools/find_python.sh
	@tools/find_python.sh $* >/dev/null
	$(call venv,.venv-$*,"$$(tools/find_python.sh $*)",,test-base)
	@.venv-$*/bin/python -c 'import brian2, numpy, platform; print("Python", platform.python_version(), "with Brian2", \
	brian2.__version__, "and numpy", numpy.__version__)'
