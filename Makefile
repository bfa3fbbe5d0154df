# `make demo` and `make test` do all set-up on a machine with Python 3.11, git and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test install lint coverage clean

demo: $(VENV)/installed  ## the planners on the parking benchmark, in minutes
	$(BIN)/hybridrl benchmark parking --tier quick --jobs $(JOBS)

test: $(VENV)/installed  ## the fast tests
	@PYTHONHASHSEED=0 $(BIN)/pytest -q -n $(JOBS)

install: $(VENV)/installed

lint: $(VENV)/linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/installed  ## of Python lines; compiled functions run uncompiled, so it is slow
	NUMBA_DISABLE_JIT=1 PYTHONHASHSEED=0 $(BIN)/pytest -q -n $(JOBS) --cov --cov-report=term

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

# Installed once, and again when what is installed changes.
$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing hybridrl into $(VENV) (once, some minutes)"
	$(PIP) -e ".[test]"
	@touch $@

$(VENV)/linters: $(VENV)/installed
	$(PIP) -e ".[dev]"
	@touch $@
