# Every target makes its own environment first; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export MPLBACKEND ?= Agg

.PHONY: help setup docs demo lab test test-slow lint type notebooks reproduce-small reproduce-quick davis bench gpu gpu-wheels clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(STAMP)  ## create .venv with everything in it

$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: setup  ## compare shipped backbones with untrained ones on drawn clips, and on VIDEO=my.mp4 if given: a page with pictures
	@$(BIN)/fima-analyze compare --ckpt random tiny-vd tiny-fima --data shapes:camera,videos=8,size=224 --split test --out reports/demo --overwrite
	@test -z "$(VIDEO)" || $(BIN)/fima-analyze compare --ckpt random small-fima tiny-fima --video "$(VIDEO)" --out reports/demo-video --overwrite
	@$(BIN)/fima-analyze compare --ckpt random small-fima --measure cam affinity mover localize --data shapes:natural,videos=16,size=224 --split test --out reports/demo-natural --overwrite
	@echo "Open $(CURDIR)/reports/demo-natural/index.html and $(CURDIR)/reports/demo/index.html$(if $(VIDEO), and $(CURDIR)/reports/demo-video/index.html)"

lab: setup  ## JupyterLab, on the notebooks
	@$(BIN)/jupyter lab notebooks

test: setup  ## unit tests, golden numbers, command line (under 6 minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

test-slow: setup  ## what is heavy: notebooks, browser, wheel
	@$(BIN)/python -m pytest -q -m "slow and not gpu"

lint: setup  ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

type: setup  ## mypy, strict
	@$(BIN)/mypy

notebooks: setup  ## execute the notebooks as they stand, into reports/notebooks/
	@mkdir -p reports/notebooks
	@for n in $(basename $(notdir $(wildcard analysis/*.ipynb))); do \
	    $(BIN)/papermill analysis/$$n.ipynb reports/notebooks/$$n.ipynb || exit 1; done

reproduce-small: setup  ## train all methods alike on moving shapes and compare them (hours; goes on where it stopped)
	@$(BIN)/fima-analyze reproduce --budget small

reproduce-quick: setup  ## the same in 20 minutes, too short to conclude from
	@$(BIN)/fima-analyze reproduce --budget quick --out reports/reproduction-quick

davis: setup  ## the table of real clips, of DATA=DIR with DIR/videos and DIR/masks (DAVIS; minutes), of CKPT="…" if given: reports/davis
	@test -n "$(DATA)" || { echo "make davis: give DATA=DIR, a folder with videos/ and masks/"; exit 2; }
	@$(BIN)/fima-analyze judge --ckpt $(or $(CKPT),small-fima tiny-fima tiny-vd) --size 112 --data "$(DATA)/videos" --masks "$(DATA)/masks" --out reports/davis

gpu:  ## on a machine with a GPU: tests, speed and the reproduction, within 9 minutes, into reports/gpu
	@bash benchmarks/gpu.sh

gpu-wheels:  ## wheels that such a machine may lack, into wheels/ (PYVERSION=3.12)
	@$(PYTHON) -m pip download --quiet --no-deps --only-binary=:all: --python-version $(or $(PYVERSION),3.12) \
	    --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --dest wheels \
	    $$(grep -E '^(av|captum|docstring_parser|jsonargparse|typeshed_client)==' constraints.txt)

bench: setup  ## speed and memory, each as a ratio measured in one run
	@for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

docs: setup  ## the documentation as a site that needs no network: site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open $(CURDIR)/site/index.html"

clean:  ## remove the environment and caches (not runs/)
	rm -rf $(VENV) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
