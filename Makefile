# `make demo` and `make test` do all set-up on a machine with Python 3.11, git and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
JOBS ?= 2
SECONDS_EACH ?= 600
VENV := .venv
BIN := $(VENV)/bin
# Byte code is made when a module is first imported: that halves the time of the installation.
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt

# Tests and workers run side by side: one thread each. Sets and dictionaries keep their order.
export OMP_NUM_THREADS := 1
export PYTHONHASHSEED := 0

.PHONY: demo test install lint coverage fuzz tables clean

demo: $(VENV)/installed  ## the planners on the parking benchmark, in minutes
	$(BIN)/hybridrl benchmark parking --tier quick --jobs $(JOBS)

test: $(VENV)/installed  ## the fast tests
	@$(BIN)/pytest -q -n $(JOBS)

install: $(VENV)/installed

lint: $(VENV)/linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/installed  ## of lines; numba reports those of compiled functions, so all compile anew
	NUMBA_JIT_COVERAGE=1 NUMBA_CACHE_DIR=$$(mktemp -d) \
	  $(BIN)/pytest -q -n $(JOBS) --cov --cov-report=term:skip-covered

fuzz: $(VENV)/installed  ## every parser, SECONDS_EACH long; inputs that break one stay in fuzz-crashes/
	$(PIP) -e ".[fuzz]"
	$(BIN)/python -P tests/fuzz/run.py --seconds $(SECONDS_EACH)

tables: $(VENV)/installed  ## every table in results/ and in the pages, from the long CSV files
	for csv in results/*.csv; do suite=$$(basename $$csv .csv); \
	  $(BIN)/hybridrl benchmark $$suite --render-only --format markdown --csv $$csv > results/$$suite.md; done
	$(BIN)/python -P -m hybridrl.benchmarks.pages README.md docs/*.md

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage fuzz-crashes

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
