# Every target sets up what it needs; the two that matter are `make report` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: report test quick lint bench clean

report: .venv/.installed  ## run the four analyses on the bundled model and print the report's path
	@$(BIN)/interp run --overwrite

test: .venv/.installed-dev lint  ## lint, types and the whole test suite
	$(BIN)/python -m pytest

quick: .venv/.installed-dev  ## the inner loop: everything but slow tests
	$(BIN)/python -m pytest -m "not slow" -q

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed-dev  ## speed and memory, as ratios
	$(BIN)/python -m benchmarks.forward

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed
	$(INSTALL) --editable '.[dev]'
	@touch $@
