# `make help` lists the targets. Everything runs from .venv, made from the hashed lock files.
PY      := .venv/bin/python
VENV    := .venv
PYTHON  ?= python3
PIP     := $(PY) -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all:
LOCK    := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
           --no-annotate --no-header --extra sim -q
PYTEST  := $(PY) -m pytest -q -n 2
export PYTHONDONTWRITEBYTECODE := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help setup demo check test-fast test test-long test-32 bench figures gen sizes lock wheel clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.txt
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) -r $<
	$(PY) -m tools.link_clone
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PIP) -r $<
	@touch $@

setup: $(VENV)/.dev ## the development environment in .venv, and .venv/bin/lanterne

build/mpy32/micropython: tools/fetch_mpy32.sh
	sh tools/fetch_mpy32.sh build/mpy32

demo: $(VENV)/.run ## an evening and a night of a lamp, a bin, a leak meter and a gateway; results in demo-out/
	$(PY) -m host_tools.demo demo-out

check: $(VENV)/.dev ## lint, types, imports, generated files, module sizes, lock files; what must hold for every commit
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m tools.typings
	$(PY) -m pyright -p pyrightconfig.json
	$(PY) -m tools.sizes --check
	$(PYTEST) -p no:cacheprovider tests/rules

test-fast: $(VENV)/.dev ## the quick tests, under a minute
	$(PYTEST) -m "not slow and not long" tests

test: $(VENV)/.dev ## everything but the long runs, at most 6 minutes on two cores
	$(PYTEST) -m "not long" tests

test-long: $(VENV)/.dev ## everything: cuts by the thousand, fuzzing, many seeds
	$(PYTEST) tests

test-32: $(VENV)/.dev build/mpy32/micropython ## the firmware suites on a 32-bit MicroPython 1.25 (needs a Debian mirror)
	LANTERNE_MPY32=build/mpy32/micropython $(PYTEST) -m "not long" -k 32 tests/host

bench: $(VENV)/.dev ## speed and memory, each against a peer of the same run
	$(PY) -m bench

gen: $(VENV)/.dev ## renew the generated files (wire format, board pins)
	@for f in tools/gen_*.py; do echo $$f; $(PY) -m tools.$$(basename $$f .py) || exit 1; done

figures: $(VENV)/.dev ## rewrite tables and pictures of docs/guides (the leak guide's tables need LANTERNE_DATA)
	$(PY) -m tools.figures_air
	$(PY) -m tools.figures_bin
	$(PY) -m tools.pictures_furniture
	@if [ -d "$${LANTERNE_DATA:-}/water" ]; then $(PY) -m tools.figures_water; \
	else echo "leak guide left out: LANTERNE_DATA names no folder with water"; fi

sizes: $(VENV)/.dev ## renew docs/sizes.csv, on purpose, when a firmware module has grown
	$(PY) -m tools.sizes --renew

wheel: $(VENV)/.dev ## the installable wheel in dist/
	rm -rf build/lib build/bdist.*
	$(PY) -m build --wheel --no-isolation -o dist .

lock: ## renew the lock files (needs uv)
	$(LOCK) -o requirements/run.txt pyproject.toml
	$(LOCK) --group dev -o requirements/dev.txt pyproject.toml

clean: ## remove what can be made again; .venv stays
	rm -rf build dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
