# Everything a developer types. Needs make and Python 3.11 or newer; the rest is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH ?=
RUNS ?= 4
SEED ?= 1
# LOCKED=1 installs the very files that requirements/ names; without it the newest that fit.
LOCKED ?=
# A PostgreSQL address needs its driver.
RUN_EXTRAS := $(if $(findstring postgres,$(DATABASE_URL)),[postgres])
RUN_STAMP := $(VENV)/installed-$(if $(RUN_EXTRAS),postgres,run)
TEST_STAMP := $(VENV)/installed-test
PIP := $(BIN)/python -m pip --disable-pip-version-check
install_locked = $(if $(LOCKED),$(PIP) install --quiet --require-hashes -r requirements/$(1).txt)
lock = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" setup.cfg --extra $(1) --output-file requirements/$(2).txt

# Where it is set, each of the many programs that tests start compiles all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run doctor status test long check translations manual bench chaos lock clean
.DEFAULT_GOAL := help

help: ## Show this
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

run: $(RUN_STAMP) ## Open the demonstration: warehouse, workers, Redis and a stand-in for bol; Ctrl-C stops it
	@$(BIN)/python -m host_app

doctor: $(RUN_STAMP) ## Look at what `make run` runs, and say what is wrong; set the variables that it was started with
	@$(BIN)/python -m host_app bol doctor $(ARGS)

status: $(RUN_STAMP) ## Tell what each store of the demonstration owes, and when its flows last went well
	@$(BIN)/python -m host_app bol status $(ARGS)

test: $(TEST_STAMP) ## Run the tests, two processes per core; ARGS="-k name" passes arguments to pytest
	$(BIN)/python -m pytest -n auto -m "not long" $(ARGS)

long: $(TEST_STAMP) ## Run the tests that take long: houses whose processes are killed, every page through a browser
	$(BIN)/python -m pytest -n logical -m long $(ARGS)

check: $(TEST_STAMP) ## Look for style, type and structure errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

translations: $(TEST_STAMP) ## Collect the texts of the sources into the catalogues, compile them, and list what is to be translated
	@$(BIN)/python -m tests.catalogues

manual: $(TEST_STAMP) ## Follow the manual in a browser, with a stopwatch, and take its pictures anew
	MANUAL_PICTURES=1 $(BIN)/python -m pytest -n 0 -q tests/browser/test_manual.py

bench: $(TEST_STAMP) ## Measure; BENCH=name for one benchmark only
	@$(BIN)/python -m benchmarks $(BENCH)

chaos: $(TEST_STAMP) ## Do harm to a house that works, and judge; RUNS=200 SEED=1, the same seed asks for the same things
	@$(BIN)/python -m tests.chaos --runs $(RUNS) --seed $(SEED) $(ARGS)

lock: $(VENV)/created ## Write down which files fit now, with their hashes; LOCKED=1 beside run or test installs those
	@$(PIP) install --quiet "uv>=0.9,<1"
	@mkdir -p requirements
	$(call lock,postgres,run)
	$(call lock,test,test)

clean: ## Remove the virtual environment and what tools left behind; the data in instance/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/installed-run: setup.cfg pyproject.toml | $(VENV)/created
	@echo "Installing (a minute or so the first time) ..."
	@$(call install_locked,run)
	@$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/installed-postgres: setup.cfg pyproject.toml | $(VENV)/created
	@echo "Installing (a minute or so the first time) ..."
	@$(call install_locked,run)
	@$(PIP) install --quiet --editable ".[postgres]"
	@touch $@

$(TEST_STAMP): setup.cfg pyproject.toml | $(VENV)/created
	@echo "Installing what tests need (a minute or so the first time) ..."
	@$(call install_locked,test)
	@$(PIP) install --quiet --editable ".[test]"
	@touch $@
