# Everything a fresh machine needs: Python 3.11+, make and a C compiler.
#   make demo    environment, then the main job on real MNIST, offline
#   make test    everything CI runs
PYTHON ?= python3
BIN := .venv/bin
# Larger data (public instances, measured weights) is found through one variable; tests that need it skip without it.
LIBRARY := $(abspath ../shared)
ifneq ($(wildcard $(LIBRARY)/instances/catalogue.csv),)
export MATCHOPT_LIBRARY ?= $(LIBRARY)
endif

# The tests start hundreds of processes; without bytecode on disk each would compile the sources again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env demo lint style types quick check test test-long test-oldest bench bench-record browser mutants lock docs clean
.DEFAULT_GOAL := help

help:
	@sed -n '2,3p' Makefile | cut -c3-
	@echo "  make env     the environment alone"
	@echo "  make check   format, lint, types, import contracts, unit tests: under 2 minutes"
	@echo "  make test-long  random instances of every kind, two hundred each, against enumeration and engines"
	@echo "  make test-oldest  the quick tests with the oldest versions of the dependencies"
	@echo "  make bench   benchmarks with their peers, in one run"
	@echo "  make bench-record  those with peers, whose ratios go into benches/history.csv"
	@echo "  make docs    the documentation site, into site/"
	@echo "  make mutants mutation tests of checker, proofs and judge: hours, or SAMPLE=150 WITHIN=3"

# The stamp is newer than what the environment was made from, so a second make does nothing.
env: .venv/stamp
.venv/stamp: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "matchopt needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m matchopt.kernels
	$(BIN)/python -m matchopt.proofs
	$(BIN)/python -m matchopt.network
	$(BIN)/python -c 'import matchopt.plugins as p; r = p.load_plugins(); [r.make(name).prepare() for name in r.solvers]'
	touch .venv/stamp

demo: env
	$(BIN)/matchopt demo

lint: style types

style: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: env
	$(BIN)/mypy

quick: env
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

# mypy has one process and waits for nobody: beside the tests it keeps no core idle.
check: style
	$(MAKE) --no-print-directory --jobs=2 types quick

test: lint
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not long" --durations=20 --cov --cov-report=term:skip-covered --cov-fail-under=95
	$(BIN)/pytest -q benches --benchmark-disable -o addopts=--import-mode=importlib

# The same instances as in the tests, some two hundred more of each kind: a quarter of an hour.
test-long: env
	$(BIN)/pytest -q -n 2 --dist worksteal -m long

# The quick layer with the oldest versions that pyproject.toml allows, in an environment of its own.
test-oldest:
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	.venv-oldest/bin/python -m pytest -q -n 2 --dist worksteal -m "not slow"

bench: env
	$(BIN)/pytest -q benches --benchmark-only -o addopts=--import-mode=importlib

# Those with peers alone, a few minutes; their ratios go into a history that is kept.
PEERS := $(addprefix benches/test_,kernel.py assignment_engines.py formats.py)
bench-record: env
	mkdir -p .benchmarks
	$(BIN)/pytest -q $(PEERS) --benchmark-only --benchmark-json=.benchmarks/last.json -o addopts=--import-mode=importlib
	$(BIN)/python benches/record.py .benchmarks/last.json

# What the page of `matchopt report` is tested in.
browser:
	command -v chromium || apt-get install --yes chromium

# One small fault at a time in checker, proofs and judge; goes on where it was stopped. SAMPLE=150 tries only so many,
# WITHIN=3 gives each the quickest of its tests only, so many processor seconds of them.
SAMPLE ?= 0
WITHIN ?= inf
mutants: env
	$(BIN)/python benches/mutants run --sample $(SAMPLE) --within $(WITHIN)
	$(BIN)/python benches/mutants table

# Offline, every warning an error; links, anchors and the reference are checked.
docs: env
	$(BIN)/mkdocs build --strict --quiet

# Pin what is installed now, after changing a dependency.
lock: env
	$(BIN)/python -m pip freeze --exclude-editable --exclude matchopt | sed 's/+cpu//' > requirements.lock

clean:
	rm -rf .venv .venv-oldest build dist site .mypy_cache .ruff_cache .pytest_cache .benchmarks
