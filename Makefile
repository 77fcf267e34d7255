# Every target does its own set-up and is safe to repeat.
PYTHON ?= python3
VENV ?= .venv

.PHONY: demo test checks fuzz docs pictures wheel format clean

# Every program that a test starts would compile all of tilesim again.
unexport PYTHONDONTWRITEBYTECODE

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[dev,cluster,cloud,formats]'
	# For the definitions of its resources alone, to which tests hold deploy/kubernetes.
	$(VENV)/bin/python -m pip install --quiet --no-deps dask-kubernetes
	# Its interpreter runs the GPU kernel's tests without a GPU; where it cannot be had they are skipped.
	-$(VENV)/bin/python -m pip install --quiet --no-deps triton==3.9.0
	touch $@

demo: $(VENV)/ready
	$(VENV)/bin/python -m tilesim example demo --overwrite
	sh demo/run.sh $(VENV)/bin/tilesim
	@echo "demo/out.png shows the frame; demo/out.bin, demo/out.zarr and demo/noise.img hold it"

# Neither types nor pages take more than one core.
test: $(VENV)/ready
	$(MAKE) --no-print-directory -j 2 checks docs
	$(VENV)/bin/python -m pytest -n 2

checks: $(VENV)/ready
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy

# Thousands of hostile calls; those that fail are listed, with how to repeat each.
fuzz: $(VENV)/ready
	PYTHONPATH=tests $(VENV)/bin/python -m fuzz --cases 3000

# All pages anew: those that Sphinx believes to be up to date are not warned of again.
docs: $(VENV)/ready
	$(VENV)/bin/python -m sphinx -E -q -W --keep-going -b html docs/reference build/reference
	@echo "build/reference/index.html is the API reference"

# Those of README and pages, by the commands of each page; look at them before they are committed.
pictures: $(VENV)/ready
	$(VENV)/bin/python docs/pictures.py

# The same bytes from the same commit and compiler: files have the time of the commit.
wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
wheel: export TILESIM_WHEEL_LEVELS = all
wheel: $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet build twine
	rm -rf dist
	$(VENV)/bin/python -m build --outdir dist
	$(VENV)/bin/python -m twine check --strict dist/*
	@ls -l dist

format: $(VENV)/ready
	$(VENV)/bin/python -m ruff check --fix .
	$(VENV)/bin/python -m ruff format .

clean:
	rm -rf $(VENV) build dist demo *.egg-info
