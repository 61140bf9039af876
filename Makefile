# The two that matter: `make demo` and `make test`. Each prepares what it needs; a second run finds it ready.

PYTHON ?= python3
PORT ?= 8080
DATA ?=
# More workers than cores: all tests take 15 minutes of processor time, and those that start servers wait for two thirds
# of their time. Six workers need less than 4 GB of memory.
WORKERS ?= 6
CHECK_WORKERS ?= 4
BIN := .venv/bin
UV := uv==0.13.9
MUTMUT := mutmut==3.8.1
SAMPLE ?= 400
SCOPES ?=
# What goes before a command that runs beside the tests.
BESIDE :=

# The environment is made anew where PYTHON is given and is another version than it has, or where its Python is gone.
VERSION := import sys; print("%d.%d" % sys.version_info[:2])
THERE := $(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null)
ifneq ($(origin PYTHON),file)
ASKED := $(or $(shell $(PYTHON) -c '$(VERSION)' 2>/dev/null),unknown)
endif

# Without its compiled files every process compiles all of the source again: 5 s of processor time each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test suite thorough check lint style types figures quick compiled format docs bench drill mutants sheets wheel lock system vendor node-red clu clean
ifneq ($(or $(ASKED),$(THERE)),$(THERE))
.PHONY: .venv/bin/python
endif

help:
	@echo "make demo [PORT=8080] [DATA=DIR]  run the simulated experiment; Ctrl-C ends it"
	@echo "make test [PYTHON=python3.13]     prepare the environment, lint, build the docs, run every test"
	@echo "make thorough                     the generated examples of the tests, all of them; make test tries a part"
	@echo "make check                        while you work: lint, types, unit tests and contracts on fakes"
	@echo "make drill [FAULTS=...]            play faults against a running demo; FAULTS=--help tells how to choose"
	@echo "make sheets [SHEETS='--only overview']  take every page in light and dark at six widths, to be looked at"
	@echo "make mutants [SCOPES=planner]      which small changes of the code no test notices; takes hours"
	@echo "make lint | format | docs | bench | wheel | lock"

demo: vendor
	@exec $(BIN)/countingroom demo --port $(PORT) $(if $(DATA),--data "$(DATA)")

# What is told at once comes first. pyright and sphinx need two minutes of processor time: they have what the tests leave
# while they wait.
test: system vendor
	@$(MAKE) --no-print-directory -j 2 --output-sync=target node-red clu style compiled
	@$(MAKE) --no-print-directory -j 3 BESIDE="nice -n 19" suite types docs figures

suite: .venv/.ready
	$(BIN)/python tools/run_tests.py --workers $(WORKERS)

# The tests with generated examples and histories, with all of them: `make test` tries a part. Takes ten minutes.
thorough: .venv/.ready
	$(BIN)/pytest -q --workers $(WORKERS) --hypothesis-profile=thorough tests/property tests/scenario tests/unit

# What fits into the minute between two edits; types and tests at the same time.
check: .venv/.ready
	@$(MAKE) --no-print-directory -j 2 --output-sync=target style types quick

quick: .venv/.ready
	$(BIN)/pytest -q --workers $(CHECK_WORKERS) -m "not server" tests/unit tests/contract

lint: style types figures

figures: .venv/.ready
	@$(BESIDE) $(BIN)/python tools/source_figures.py

style: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

types: .venv/.ready
	$(BESIDE) $(BIN)/pyright

# In a fresh checkout compiling all tests and all of the source takes 20 s on one core: beside Node-RED, not after it.
compiled: .venv/.ready
	@$(BIN)/pytest -q --collect-only >/dev/null

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.ready
	$(BESIDE) $(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: .venv/.ready
	$(BIN)/python -m bench

drill: vendor
	$(BIN)/python -m tests.drill $(FAULTS)

sheets: vendor
	$(BIN)/python -m tests.browser.contact_sheet $(SHEETS)

# Not a part of `make test`: hours, at the lowest priority. SCOPES: core, planner, host, auth; SAMPLE=0 tries all.
mutants: .venv/.ready
	$(BIN)/pip install -q $(MUTMUT)
	$(BIN)/python tools/mutants.py --sample $(SAMPLE) $(SCOPES)

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
	printf 'sdss-clu==2.6.1\nsdss-fliswarm==0.7.0\n' | $(BIN)/uv pip compile -q --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		- -o tests/clu/requirements.txt

clean:
	rm -rf .venv dist docs/_build

.venv/bin/python:
	@$(PYTHON) -c '' || { echo "$(PYTHON) is not on this machine" >&2; exit 1; }
	@PYTHON=$(PYTHON) sh requirements/debian.sh python3-venv
	$(PYTHON) -m venv --clear .venv

.venv/.ready: .venv/bin/python requirements/dev.txt pyproject.toml tools/install_locked.py
	$(BIN)/python tools/install_locked.py requirements/dev.txt
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# The browser libraries, from npm, pinned. Without npm: said clearly, and the console does without them.
vendor: .venv/.ready
	@$(BIN)/python hatch_build.py || true

# Node-RED for the test of its example pages, pinned; the demo does without. npm is the machine's, else that of the wheel
# which pyright brings along.
RED := tests/node-red
NPM := $(BIN)/python -c "import subprocess, sys, hatch_build as h; sys.exit(subprocess.call([*h.npm_command(), *sys.argv[1:]]))"
node-red: .venv/.ready
	@[ $(RED)/node_modules/.package-lock.json -nt $(RED)/package-lock.json ] || $(NPM) ci --prefix $(RED) \
		--omit=optional --ignore-scripts --no-audit --no-fund --silent || \
		echo "npm could not fetch Node-RED: the test of its pages is skipped" >&2

# The actors of SDSS for the test that compares ours with them, pinned, in an environment of their own: they need 40 packages.
CLU := .venv/clu
clu: .venv/.ready
	@[ $(CLU)/.ready -nt tests/clu/requirements.txt ] || \
		{ $(BIN)/python -m venv --clear $(CLU) && \
		$(CLU)/bin/python tools/install_locked.py tests/clu/requirements.txt && touch $(CLU)/.ready; } || \
		echo "pip could not fetch sdss-clu: the test that compares with it is skipped" >&2
