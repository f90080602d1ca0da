# make demo    set up, then attack the embedded victims on the embedded data
# make test    set up, then run the tests
# make check   set up, then lint and check types
# make docs    set up, then write pages from the docstrings into build/docs
# make picture take the README's picture of a report, after make demo; needs Chromium

PYTHON ?= python3
VENV ?= .venv
CHROMIUM ?= chromium
BIN := $(VENV)/bin

.PHONY: demo test check docs picture install

demo: install
	$(BIN)/python attack.py

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m pdoc --docformat google --math --output-directory build/docs project

picture:
	$(CHROMIUM) --headless --no-sandbox --hide-scrollbars --window-size=1100,1900 \
		--screenshot=docs/images/report.png "file://$(CURDIR)/runs/shapes_classification/report.html"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[test,dev]'
	touch $@
