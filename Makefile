# `make run` starts everything, `make test` checks everything; `make help` lists the rest.
# On a fresh Debian or Ubuntu with Python 3.11 or 3.12, make, git and curl nothing else is needed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check
ARGS ?=
MODELS ?= ask
QUIET := $(if $(MAKE_TERMOUT),,-q)
PROTOS := $(shell find protos -name '*.proto')
BUF := 1.75.0
# Workers of the unit tests. Each keeps to one thread, so that they do not fight for the processors.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n : 4)))
# A browser, a played microphone and the machine beneath them may stumble once: what failed is tried once more, and named
# in the summary as RERUN. `make test AGAIN=0` is as strict as pytest by itself.
AGAIN ?= 1
PYTEST := $(BIN)/pytest -q --reruns $(AGAIN) --rerun-show-tracebacks -raR

## Use

.PHONY: run
run: setup ## install what is missing, start everything, print the page's address (ARGS="--port 8080", MODELS=none|all)
	@exec $(BIN)/visavis up --models "$(MODELS)" $(ARGS)

.PHONY: setup
setup: $(VENV)/.system $(VENV)/.packages $(VENV)/.stubs ## install everything that running needs

.PHONY: doctor
doctor: setup ## say what is installed, what is missing and how to mend it
	@$(BIN)/visavis doctor

## Test

.PHONY: test
test: lint test-unit test-stack test-compose ## run every check (three quarters of an hour on two cores, ten minutes more with containers)

.PHONY: test-setup
test-setup: setup $(VENV)/.system-test $(VENV)/.packages-test $(VENV)/.buf-$(BUF) ## install everything that testing needs

.PHONY: lint
lint: test-setup ## style, format, protos, what callers rely on, the lock, the arrows between the rooms, and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/lock --check
	$(BIN)/buf lint
	@tools/breaking $(BIN)/buf
	$(BIN)/lint-imports
	$(BIN)/mypy

.PHONY: test-unit
test-unit: test-setup ## parts by themselves, and every engine against its contract
	OMP_NUM_THREADS=1 $(PYTEST) -n $(JOBS) --dist loadfile tests/unit tests/contract $(ARGS)

.PHONY: test-stack
test-stack: test-setup ## test-e2e and test-browser on one and the same stack
	$(PYTEST) tests/e2e $(ARGS)

.PHONY: test-e2e
test-e2e: test-setup ## the real stack, as processes
	$(PYTEST) tests/e2e -m "not browser" $(ARGS)

.PHONY: test-browser
test-browser: test-setup ## real Chromium: train, generate, chat
	$(PYTEST) tests/e2e -m browser $(ARGS)

.PHONY: test-compose
test-compose: test-setup ## real containers; says so when there is no Docker engine
	$(PYTEST) tests/compose $(ARGS)

.PHONY: bench-%
bench-%: test-setup ## measure: make bench-NAME runs bench/NAME.py
	$(BIN)/python -m bench.$* $(ARGS)

## Build

.PHONY: lock
lock: test-setup ## write lock/ from pyproject.toml (ARGS="--upgrade" for the newest versions)
	$(BIN)/python tools/lock $(ARGS)

.PHONY: stubs
stubs: $(VENV)/.stubs ## compile the protos into the virtual environment

.PHONY: demo-avatar
demo-avatar: setup ## draw the demo presenter again and train the avatar from it
	$(BIN)/python -m demo.build $(ARGS)

.PHONY: docs
docs: setup ## write docs/configuration.md and docs/engines.md from the code
	$(BIN)/python docs/configuration.py
	$(BIN)/python docs/engines.py

.PHONY: clean
clean: ## remove the virtual environment and caches; data/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} /^[a-z0-9%-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

# Each stamp says that its step is done; a step runs again only when what it depends on has changed.

$(VENV)/.system: tools/system-packages
	@PYTHON="$(PYTHON)" tools/system-packages run
	@mkdir -p $(VENV) && touch $@

$(VENV)/.system-test: tools/system-packages
	@PYTHON="$(PYTHON)" tools/system-packages test
	@mkdir -p $(VENV) && touch $@

$(VENV)/.python: lock/build.txt | $(VENV)/.system
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q --require-hashes --no-deps -r $<
	@touch $@

# Everything with its hash, but torch, whose build differs by machine. It comes after what it asks for.
$(VENV)/.packages: lock/all.txt pyproject.toml $(VENV)/.python
	@echo "Installing packages: about 0.5 GB to download without CUDA, up to 3 GB with it."
	$(PIP) install $(QUIET) --require-hashes --no-deps -r $<
	$(PIP) install $(QUIET) torch==2.13.0
	$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.packages-test: lock/dev.txt $(VENV)/.packages
	$(PIP) install -q --require-hashes --no-deps -r $<
	$(BIN)/python protos/build.py  # now with types
	@touch $@

# The protos' linter is a program that npm brings, with a checksum; none of its scripts are run.
$(VENV)/.buf-$(BUF): | $(VENV)/.system-test $(VENV)/.python
	npm install --global --prefix $(VENV) --ignore-scripts --no-audit --no-fund --loglevel error @bufbuild/buf@$(BUF)
	@touch $@

$(VENV)/.stubs: $(PROTOS) protos/build.py $(VENV)/.packages
	$(BIN)/python protos/build.py
	@touch $@
