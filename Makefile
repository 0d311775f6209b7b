# Everything a person or CI runs. Needs make, a C compiler and Python 3.11 or later; the rest is
# installed into .venv, from the lock files.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --require-hashes
SOURCES := events projections plexbridge tests

# Tests wait more than they compute: more of them at once than a small machine has processors.
WORKERS ?= 3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-long lint bench lock clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# The stamps say which lock files .venv was made from; a changed lock file installs again.
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "PlexBridge needs Python 3.11 or later; PYTHON=... make run names another one" >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/stamp-run: requirements.lock requirements-build.lock pyproject.toml plexbridge/version.py | $(VENV)/pyvenv.cfg
	@echo "installing what is locked in requirements.lock"
	@$(INSTALL) -r requirements.lock -r requirements-build.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/stamp-dev: requirements-dev.lock $(VENV)/stamp-run
	@echo "installing what is locked in requirements-dev.lock"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

run: $(VENV)/stamp-run ## serve the demo provider; PORT=3001 make run moves it
	@PLEXBRIDGE_DATA_DIR="$${PLEXBRIDGE_DATA_DIR:-data}" exec $(BIN)/plexbridge serve --demo

test: lint ## lint, then every test but the long ones
	$(BIN)/python -m pytest -m "not long" -n $(WORKERS) --dist loadfile

test-long: $(VENV)/stamp-dev ## the long tests
	$(BIN)/python -m pytest -m long

lint: $(VENV)/stamp-dev ## ruff and mypy
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

bench: $(VENV)/stamp-dev ## measure, beside nginx where it can be; BENCH="relay join" make bench runs some
	$(BIN)/python -m tests.bench $(BENCH)

# uv resolves for every platform and Python at once (--universal), which pip cannot. Pins that are
# there stay; UPGRADE=--upgrade make lock takes the newest of everything.
COMPILE = "$$work/venv/bin/uv" --no-config pip compile --quiet --universal --generate-hashes \
	--no-emit-index-url --no-emit-find-links --python-version 3.11 \
	--custom-compile-command "make lock" $(UPGRADE)

lock: ## resolve the dependencies again and write the lock files
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(PYTHON) -m venv "$$work/venv"; "$$work/venv/bin/pip" install --quiet uv; \
	$(COMPILE) pyproject.toml --output-file requirements.lock; \
	$(COMPILE) --group build --constraint requirements.lock --output-file requirements-build.lock; \
	$(COMPILE) pyproject.toml --group build --group dev --constraint requirements.lock \
		--constraint requirements-build.lock --output-file requirements-dev.lock

clean: ## remove .venv and what tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
