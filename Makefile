# `make help` lists the targets. Everything runs from .venv, made from the hashed lock files.
PY      := .venv/bin/python
VENV    := .venv
PYTHON  ?= python3
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup demo check test-fast test test-long test-32 bench lock gen clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.txt
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

setup: $(VENV)/.dev ## the development environment

build/mpy32/micropython: tools/fetch_mpy32.sh
	sh tools/fetch_mpy32.sh build/mpy32

demo: $(VENV)/.run ## one evening and night of a lamp, a bin, a leak meter and a gateway; results in demo-out/
	$(PY) -m host_tools.demo demo-out

gen: $(VENV)/.dev ## renew the generated files
	$(PY) -m tools.gen_wire

check: $(VENV)/.dev ## lint, types, generated files, import rules, lock files
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pyright -p pyrightconfig.json
	$(PY) -m tools.gen_wire --check
	$(PY) -m pytest -q -p no:cacheprovider tests/rules

test-fast: $(VENV)/.dev ## under a minute
	$(PY) -m pytest -q -n 2 -m "not slow and not long" tests

test: $(VENV)/.dev ## everything but the long runs, at most 6 minutes on two cores
	$(PY) -m pytest -q -n 2 -m "not long" tests

test-long: $(VENV)/.dev ## cuts by the thousand, fuzzing, many seeds
	$(PY) -m pytest -q -n 2 tests

test-32: $(VENV)/.dev build/mpy32/micropython ## the firmware suites on a 32-bit MicroPython
	LANTERNE_MPY32=build/mpy32/micropython $(PY) -m pytest -q -n 2 tests/host/test_under_micropython.py

bench: $(VENV)/.dev ## speed and memory, each against a peer of the same run
	$(PY) -m bench

lock: ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra sim -q -o requirements/run.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra sim --group dev -q -o requirements/dev.txt pyproject.toml

clean: ## remove what can be made again
	rm -rf build dist demo-out .mypy_cache .ruff_cache .pytest_cache *.egg-info
