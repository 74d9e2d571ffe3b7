# Everything here works from a fresh clone with Python 3.11-3.13 and make.
PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# Byte code is written when packages are installed: without it every start of torch and Lightning costs half a minute.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test bench install dev check lint types format clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.installed  ## from nothing to a leaderboard: fetch, render, pretrain, probe five tasks (about 17 minutes)
	$(BIN)/musicfm prepare --corpus dcml --out data/dcml-demo
	$(BIN)/musicfm grid experiments/grids/demo.yaml --launch local --jobs $(JOBS)
	$(BIN)/musicfm leaderboard --results $(DEMO) --out $(DEMO)
	@echo
	@echo "Tables:      $(DEMO)/LEADERBOARD.md, $(DEMO)/leaderboard.html (open it in a browser), $(DEMO)/leaderboard.csv"
	@echo "Runs:        $(DEMO)/*/, each with config.yaml, checkpoints/, results.json (scores by track) and log.txt"
	@echo "Audio:       data/dcml-demo/"
	@echo "Curves:      $(BIN)/tensorboard --logdir $(DEMO)"
	@echo "What next:   $(BIN)/musicfm predict --run_dir $(DEMO)/pretrained/beat/seed0 --data.files '[your_song.mp3]'"
	@echo "             $(BIN)/musicfm prepare --corpus folder --root YOUR_MUSIC --out data/mine"
	@echo "             $(BIN)/musicfm fit --config experiments/pretrain/small.yaml --data.root data/mine"

# In the order of tests/conftest.py, which has the longest files first, and not of how many tests a file has.
PYTEST = $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev  ## the tests, warnings as errors (about 11 minutes on 2 cores)
	$(PYTEST) -m "not slurm and not slow"

test-slow: $(VENV)/.dev  ## those that take half a minute each (about 3 minutes)
	$(PYTEST) -m slow

bench: $(VENV)/.dev  ## our encoder against the public way of building it (BENCH='--what train' for one part)
	$(BIN)/musicfm bench $(BENCH)

install: $(VENV)/.installed  ## .venv with the project in it

dev: $(VENV)/.dev  ## the same with what tests, lint and types need

check: lint types test test-slow  ## what .ci/run runs

lint: $(VENV)/.dev  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy
	$(BIN)/mypy

format: $(VENV)/.dev  ## ruff, mending what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and caches; data/ and runs/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is needed; on Debian: apt-get install python3-venv"; exit 1; }

# pip says what it collects and downloads: about 6 GB installed, most of it torch.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@
