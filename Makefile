# Each target works on a fresh machine: the first one makes .venv, and a change of pyproject.toml makes it again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.DEFAULT_GOAL := test
.PHONY: demo test lint bench docs clean

demo: $(STAMP)
	$(BIN)/python -m sample_drivers.demo

# One worker for each file: files share fixtures that are dear, and their output stays together.
test: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist loadfile --ignore=tests/bench

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict kmock

# Measured one after the other, on a machine as quiet as it gets; then set in relation to each other.
bench: $(STAMP)
	$(BIN)/python -m pytest tests/bench -q -p no:xdist --benchmark-only
	$(BIN)/python -m tests.bench.ratios

docs: $(STAMP)
	$(BIN)/python -m tests.tools.make_docs

clean:
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .benchmarks .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,cli,html]'
	touch $@
