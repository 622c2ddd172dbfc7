# make app     install into .venv and start the app        make test    install and run the tests
# make check   lint, types, fast tests (what a commit needs)
# make weights REPOSEDM_ASSETS=PACK   train the weights that ship, measure them, write their card
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Tests run in two processes, a file in one of them: fixtures of a file are made once.
PARALLEL ?= -n 2 --dist loadfile

# Shared libraries that OpenCV's wheel expects and a bare Debian lacks; elsewhere nothing is done.
LIBRARIES := python3-venv libgl1 libglib2.0-0
define apt_install
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  dpkg -s $(1) >/dev/null 2>&1 || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; }; \
	fi
endef

# Minutes a stage may take: it stops and saves when it is done, or then. A stage that is not done
# stops the chain; the same command goes on from there. Hours and hardware: docs/model_card.md.
MINUTES_AUTOENCODER ?= 600
MINUTES_ESTIMATOR ?= 600
MINUTES_ALIGNMENT ?= 600
MINUTES_DIFFUSION ?= 2400
MINUTES_TASKS ?= 600
MINUTES_ABLATION ?= 600
# Samples of the last stage, of random views and of people who keep still; 620 KiB of disk each.
KEPT ?= 7000
KEPT_STILL ?= 1200
# Samples of the two further tasks.
KEPT_SWAP ?= 3200
KEPT_STREET ?= 2800
RUNS ?= runs
STREET ?= data/street
PEOPLE ?= data/people
HELD_OUT ?= data/held-out
PHOTOS ?= assets/examples

.PHONY: app test check lint types fast browser bench clean weights networks baseline arms measure tasks

app: $(VENV)/app.stamp
	$(BIN)/python app.py $(ARGS)

test: $(VENV)/dev.stamp
	$(call apt_install,chromium)
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

check: $(VENV)/dev.stamp lint types fast

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Gradio writes stubs beside its components, and mypy would read them instead of the code.
types: $(VENV)/dev.stamp
	@rm -f pose_editor/*.pyi reposedm/ui/*.pyi
	$(BIN)/mypy

fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q $(PARALLEL) -m "not slow and not browser and not models and not heavy" \
	  $(ARGS)

browser: $(VENV)/dev.stamp
	$(call apt_install,chromium)
	$(BIN)/python -m pytest $(PARALLEL) -m browser $(ARGS)

bench: $(VENV)/app.stamp
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.repose
	$(BIN)/python -m benchmarks.editor
	$(BIN)/python -m benchmarks.untouched
	$(BIN)/python -m benchmarks.preview assets/examples --limit 3
	$(BIN)/python -m benchmarks.networks
	$(BIN)/python -m benchmarks.augment
	@echo "With Chromium: python -m benchmarks.live"
	@echo "With marked photographs: python -m benchmarks.detection --keypoints FILE --photos FOLDER"

weights: measure tasks
	$(BIN)/python -m training.history $(RUNS)/small-autoencoder $(RUNS)/small-estimator \
	  $(RUNS)/small-alignment $(RUNS)/small-b1 $(RUNS)/small $(RUNS)/small-b1-on $(RUNS)/swap \
	  $(RUNS)/street \
	  -o training/results/training.json
	$(BIN)/python -m training.card --weights assets/weights

# Every stage is a run of its own, so that arms of the ablation share the first ones. Alignment is
# added to B1; its own arm goes on for as many steps without. B2 is full without pose guidance in
# sampling: `small` has none in its loss.
stages = autoencoder estimator prior alignment diffusion
only = $(foreach stage,$(filter-out $(1),$(stages)),stages.$(stage).steps=0)
train = $(BIN)/python -m training.train data.root=$(PEOPLE) --config
network = init.$(1)=$(RUNS)/small-$(1)/networks/$(1)
last = $(call only,diffusion) $(call network,autoencoder) $(call network,estimator) \
  $(call network,alignment)
keep = $(BIN)/python -m training.kept data.root=$(PEOPLE) --config
# B1 sees the samples that the others see.
b1 = small-b1 $(call only,diffusion) $(call network,autoencoder)
b1_kept = "diffusion.kept=[$(RUNS)/small-b1-kept,$(RUNS)/small-b1-kept-still]"

$(PEOPLE)/index.jsonl: | $(VENV)/dev.stamp
	$(BIN)/python -m training.synthetic render --out $(PEOPLE) --identities 900 --mode mixed \
	  --photographic 1 --outfits 2 --products --seed 1

$(HELD_OUT)/index.jsonl: | $(VENV)/dev.stamp
	$(BIN)/python -m training.synthetic render --out $(HELD_OUT) --identities 60 --mode mixed \
	  --photographic 1 --one-camera --seed 7

baseline: $(PEOPLE)/index.jsonl
	$(train) small --out $(RUNS)/small-autoencoder $(call only,autoencoder) \
	  --max-minutes $(MINUTES_AUTOENCODER)
	$(keep) $(b1) --out $(RUNS)/small-b1-kept --count $(KEPT)
	$(keep) $(b1) --out $(RUNS)/small-b1-kept-still --count $(KEPT_STILL) data.still=1 seed=7
	$(train) $(b1) --out $(RUNS)/small-b1 --max-minutes $(MINUTES_DIFFUSION) $(b1_kept)

networks: baseline
	$(train) small --out $(RUNS)/small-estimator $(call only,estimator) \
	  --max-minutes $(MINUTES_ESTIMATOR)
	$(train) small --out $(RUNS)/small-alignment $(call only,prior alignment) \
	  $(call network,autoencoder) --max-minutes $(MINUTES_ALIGNMENT)
	$(keep) small $(last) --out $(RUNS)/small-kept --count $(KEPT)
	$(keep) small $(last) --out $(RUNS)/small-kept-still --count $(KEPT_STILL) data.still=1 seed=7
	$(train) small --out $(RUNS)/small $(last) init.baseline=$(RUNS)/small-b1/weights/pidm \
	  --max-minutes $(MINUTES_DIFFUSION) \
	  "diffusion.kept=[$(RUNS)/small-kept,$(RUNS)/small-kept-still]"

arms: networks
	$(train) $(b1) --out $(RUNS)/small-b1-on init.pipeline=$(RUNS)/small-b1/weights/pidm \
	  stages.diffusion.steps=1500 --max-minutes $(MINUTES_DIFFUSION) $(b1_kept)

measure: arms $(HELD_OUT)/index.jsonl
	$(BIN)/python -m training.export $(RUNS)/small -o assets/weights --half --default steps=1 \
	  --default guidance_scale=1 --default pose_guidance_moves=2
	$(BIN)/python -m training.ablation --data $(HELD_OUT) --arm full=assets/weights/reposedm \
	  --arm b1=$(RUNS)/small-b1-on/weights/pidm,steps=1,guidance_scale=1 \
	  --arm b2=assets/weights/reposedm,pose_guidance_scale=0 \
	  --max-minutes $(MINUTES_ABLATION) --out training/results/ablation.json
	$(BIN)/python -m training.real_photos $(PHOTOS) --people --weights assets/weights/reposedm \
	  -o training/results/real_photos.json
	$(BIN)/python -m benchmarks.reposed $(PHOTOS) --method preview --method reposedm \
	  -o training/results/reposed.json
	$(BIN)/python -m benchmarks.parts -o training/results/parts.json

# What tunes the finest grid of the weights above: garment swaps, and small pictures.
$(STREET)/index.jsonl: | $(VENV)/dev.stamp
	$(BIN)/python -m training.synthetic render --out $(STREET) --identities 800 \
	  --mode surveillance --one-camera --photographic 1 --size 128x88 --seed 41

$(STREET)-held-out/index.jsonl: | $(VENV)/dev.stamp
	$(BIN)/python -m training.synthetic render --out $(STREET)-held-out --identities 40 \
	  --mode surveillance --one-camera --photographic 1 --size 128x88 --seed 43

$(HELD_OUT)-swap/index.jsonl: | $(VENV)/dev.stamp
	$(BIN)/python -m training.synthetic render --out $(HELD_OUT)-swap --identities 60 \
	  --mode mixed --photographic 1 --outfits 2 --products --seed 7

tasks: measure $(STREET)/index.jsonl $(STREET)-held-out/index.jsonl $(HELD_OUT)-swap/index.jsonl
	$(BIN)/python -m training.kept --config swap data.root=$(PEOPLE) --out $(RUNS)/swap-kept \
	  --count $(KEPT_SWAP)
	$(BIN)/python -m training.train --config swap data.root=$(PEOPLE) --out $(RUNS)/swap \
	  --max-minutes $(MINUTES_TASKS) "diffusion.kept=[$(RUNS)/swap-kept]"
	$(BIN)/python -m training.kept --config street data.root=$(STREET) --out $(RUNS)/street-kept \
	  --count $(KEPT_STREET)
	$(BIN)/python -m training.train --config street data.root=$(STREET) --out $(RUNS)/street \
	  --max-minutes $(MINUTES_TASKS) "diffusion.kept=[$(RUNS)/street-kept]"
	$(BIN)/python -m training.export $(RUNS)/swap -o assets/weights
	$(BIN)/python -m training.export $(RUNS)/street -o assets/weights
	$(BIN)/python -m training.swap_evaluate --data $(HELD_OUT)-swap --limit 120 \
	  --weights assets/weights/swap --seeds 0,1,2 --grid docs/model_card/swap.jpg \
	  --out training/results/swap.json
	$(BIN)/python -m training.ablation --data $(STREET)-held-out --pairs 200 --pose-pairs 60 \
	  --arm b2=assets/weights/reposedm --arm street=assets/weights/reposedm-street \
	  --out training/results/street.json
	$(BIN)/python -m benchmarks.garment -o training/results/garment_time.json

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
