# make demo    set up, then attack pretrained classifiers on photos, and small segmenters on drawings
# make test    set up, then run the quick tests
# make slow    set up, then run the tests that kill processes, train, or work a browser
# make test-lowest  the quick tests with the lowest versions that pyproject.toml admits, on Python 3.11
# make check   set up, then lint and check types
# make docs    set up, then write pages from the docstrings into build/docs
# make picture take the README's picture of a report, after make demo; needs Chromium

PYTHON ?= python3
VENV ?= .venv
LOWEST_PYTHON ?= python3.11
LOWEST ?= .venv-lowest
CHROMIUM ?= chromium
BIN := $(VENV)/bin
PYTEST_OPTIONS := -n 2 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python -m pytest $(PYTEST_OPTIONS)
# What an old library calls of a newer one is not ours to change; all other warnings stay errors.
OLD := -W ignore::DeprecationWarning -W ignore::FutureWarning

.PHONY: demo test test-lowest slow check docs picture install

demo: install
	$(BIN)/mirage attack --config configs/data/foolbox_photos.yaml \
		--config configs/victims/imagenet_packaged.yaml --config configs/attacks/demo.yaml \
		--config configs/metrics/packaged.yaml --run.folder runs/demo \
		--run.title "20 photos, attacked on EfficientNet-Lite0"
	$(BIN)/mirage attack --data.task segmentation

test: install
	$(PYTEST) -m "not slow"

test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest $(PYTEST_OPTIONS) $(OLD) -m "not slow"

slow: install
	$(PYTEST) -m slow

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m pdoc --docformat google --math --output-directory build/docs project

picture:
	$(CHROMIUM) --headless --no-sandbox --hide-scrollbars --window-size=1100,1900 \
		--screenshot=docs/images/report.png "file://$(CURDIR)/runs/demo/report.html"

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[test,dev,demo]'
	touch $@

$(LOWEST)/installed: pyproject.toml constraints-lowest.txt
	$(LOWEST_PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --constraint constraints-lowest.txt --editable '.[test]'
	touch $@
