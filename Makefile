# make app     install into .venv and start the app        make test    install and run the tests
# make check   lint, types, fast tests (what a commit needs)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

# Shared libraries that OpenCV's wheel expects and a bare Debian lacks; elsewhere nothing is done.
LIBRARIES := python3-venv libgl1 libglib2.0-0
define apt_install
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  dpkg -s $(1) >/dev/null 2>&1 || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; }; \
	fi
endef

.PHONY: app test check lint types fast browser bench clean

app: $(VENV)/app.stamp
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/dev.stamp
	$(call apt_install,chromium)
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

check: $(VENV)/dev.stamp lint types fast

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q -m "not slow and not browser and not models and not heavy" $(ARGS)

browser: $(VENV)/dev.stamp
	$(call apt_install,chromium)
	$(BIN)/python -m pytest -m browser $(ARGS)

bench: $(VENV)/app.stamp
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.repose
	$(BIN)/python -m benchmarks.editor
	$(BIN)/python -m benchmarks.preview assets/examples --limit 3
	$(BIN)/python -m benchmarks.networks
	@echo "With marked photographs: python -m benchmarks.detection --keypoints FILE --photos FOLDER"

$(VENV)/bin/python:
	$(call apt_install,$(LIBRARIES))
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 12) else \
	  "Python 3.11 or 3.12 is needed (mediapipe has no wheels for %d.%d): make app PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/app.stamp: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-train.txt requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $(VENV)/app.stamp $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache runs
