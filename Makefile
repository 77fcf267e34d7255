# `make demo` and `make test` do all their own set-up; both are safe to repeat.
PYTHON ?= python3
VENV ?= .venv

.PHONY: demo test lint clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[dev,cluster]'
	touch $@

demo: $(VENV)/ready
	$(VENV)/bin/python -m tilesim_cli.main example demo
	cd demo && sh ./run.sh $(abspath $(VENV))/bin/tilesim

test: $(VENV)/ready
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m pytest

clean:
	rm -rf $(VENV) build demo *.egg-info
