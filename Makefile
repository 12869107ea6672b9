# Every target sets up what it needs; the two that matter are `make report` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Two processes, whole files each, because fixtures of a file are dear; the longest first (tests/conftest.py).
TWO := -n 2 --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: report test quick zoo notebooks docs example lint bench clean

report: .venv/.installed  ## run the four analyses on the bundled model and print the report's path
	@$(BIN)/interp run --overwrite

test: .venv/.installed-dev lint  ## lint, types, the whole test suite and the notebooks
	$(BIN)/python -m pytest $(TWO)
	@$(MAKE) --no-print-directory notebooks

quick: .venv/.installed-dev  ## the inner loop: the core, the report and parts of the analyses; nothing marked slow
	$(BIN)/python -m pytest $(TWO) -m "not slow" -q

zoo: .venv/.installed-dev  ## every command and every analysis over checkpoints like those of the hub
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m zoo tests/zoo  # most of it is one file

notebooks: .venv/.installed-dev  ## run every notebook from top to bottom; their libraries' deprecations are not ours to mend
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbmake --nbmake-timeout=600 -W default -q notebooks

docs: .venv/.installed-dev  ## the documentation, notebooks run and shown: build/docs/index.html
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --fail-on-warning -q -D nb_execution_mode=force docs build/docs
	@echo build/docs/index.html

example: .venv/.installed  ## run again what is committed as reports/example
	@$(BIN)/interp run --analyses head_specialization,cross_attention_focus,logit_attribution,embedding_geometry,circuits --set circuits.check=60 --set circuits.draws=20 --set circuits.most_pairs=16 --limit 6 --twins 2 --batch-size 4 --out reports/example --overwrite

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
	$(INSTALL) --editable '.[dev,docs]'
	@touch $@
