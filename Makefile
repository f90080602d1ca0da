# make demo    set up, then attack pretrained classifiers on photos, and small segmenters on drawings
# make test    set up, then run the quick tests
# make slow    set up, then run the tests that kill processes, train, or work a browser
# make check   set up, then lint and check types
# make docs    set up, then write pages from the docstrings into build/docs
# make picture take the README's picture of a report, after make demo; needs Chromium

PYTHON ?= python3
VENV ?= .venv
CHROMIUM ?= chromium
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test slow check docs picture install

demo: install
	$(BIN)/mirage attack --config configs/data/foolbox_photos.yaml \
		--config configs/victims/imagenet_packaged.yaml --config configs/attacks/demo.yaml \
		--config configs/metrics/packaged.yaml --run.folder runs/demo \
		--run.title "20 photos, attacked on EfficientNet-Lite0"
	$(BIN)/mirage attack --data.task segmentation

test: install
	$(PYTEST) -m "not slow"

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
