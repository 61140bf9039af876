# The two that matter: `make demo` and `make test`. Each prepares what it needs; a second run finds it ready.

PYTHON ?= python3
PORT ?= 8080
DATA ?=
WORKERS ?= 2
BIN := .venv/bin
UV := uv==0.13.9

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench wheel lock system vendor clean

help:
	@echo "make demo [PORT=8080] [DATA=DIR]  run the simulated experiment; Ctrl-C ends it"
	@echo "make test                         prepare the environment, lint, build the docs, run every test"
	@echo "make lint | format | docs | bench | wheel | lock"

demo: vendor
	@exec $(BIN)/countingroom up examples/demo/experiment.yaml --simulate --port $(PORT) $(if $(DATA),--data "$(DATA)")

test: system vendor lint docs
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright
	@$(BIN)/python tools/source_figures.py

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ready
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: .venv/.ready
	$(BIN)/python -m bench

wheel: .venv/.ready
	$(BIN)/python -m build --wheel --no-isolation

# What of Debian the tests need: installed as root, named otherwise.
system:
	@PYTHON=$(PYTHON) sh requirements/debian.sh

# The locks: every version and hash, and no address of where they came from.
lock: .venv/.ready
	$(BIN)/pip install -q $(UV)
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" -c requirements/run.txt \
		pyproject.toml --group build --group test --group lint --group docs -o requirements/dev.txt

clean:
	rm -rf .venv dist docs/_build

.venv/bin/python:
	@PYTHON=$(PYTHON) sh requirements/debian.sh python3-venv
	$(PYTHON) -m venv .venv

.venv/.ready: .venv/bin/python requirements/dev.txt pyproject.toml
	$(BIN)/pip install -q --require-hashes -r requirements/dev.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# The browser libraries, from npm, pinned. Without npm: said clearly, and the console does without them.
vendor: .venv/.ready
	@$(BIN)/python hatch_build.py || true
