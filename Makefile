# make demo   the whole method on a clip and a photograph that ship with the package, into demo_output/
# make test   everything that CI runs; make test STEPS="lint notebooks" for some of it
# make test-all  the same with nothing shortened, and every notebook as Colab runs it: hours; CI runs it every night
# make run    restart the notebooks, run them top to bottom and store their outputs; make run NB=01_video for one
# make export  clean and format the notebooks and tools, and write the package from them
# make docs   the site, into _docs/
# make audit  known faults of the pinned packages, by pip-audit; needs its database on the internet
# make readme README.md from nbs/index.ipynb
# make clean  remove what the other targets made

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test test-all run export docs readme install audit clean
help:
	@sed -n 's/^# //p' Makefile

# Nothing is installed but files whose hash is in hashes.txt; what a build of torch for GPUs brings comes with the last line.
# The stamp is written last, so a set-up that was cut off starts anew; it names the folder, so a moved copy does too.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif
$(READY): constraints.txt hashes.txt settings.ini setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "The pinned packages need Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@[ "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" ] || { echo "Setting up .venv: about 3 GB (more with a build of torch for GPUs), a few minutes the first time."; $(PYTHON) -m venv --clear .venv; }
	@rm -f $@
	@sed -n '/^pip==/,/[^\\]$$/p;/^setuptools==/,/[^\\]$$/p' hashes.txt > .venv/first.txt
	@$(BIN)/python -m pip install -qq --require-hashes --no-deps -r .venv/first.txt
	@sed -n '/^torch==/,/[^\\]$$/p' hashes.txt > .venv/torch.txt # Half of all bytes: unpacked beside the others
	@sed '/^torch==/,/[^\\]$$/d' hashes.txt > .venv/others.txt
	@printf '.venv/%s.txt\n' others torch | xargs -P 2 -n 1 $(BIN)/python -m pip install -qq --require-hashes --no-deps --no-compile --no-build-isolation -r
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@$(BIN)/python tools/system.py
	@printf '%s\n' "$(CURDIR)" > $@

install: $(READY)

demo: $(READY)
	$(BIN)/cammimic demo --output demo_output

STEPS ?=
test: $(READY)
	@$(BIN)/python tools/test.py $(STEPS)

test-all: $(READY)
	@$(BIN)/python tools/test.py --all $(STEPS)

run: $(READY)
	@$(BIN)/python tools/run_notebooks.py $(NB)

export: $(READY)
	@$(BIN)/ruff check --fix --quiet nbs tools experiments setup.py && $(BIN)/ruff format --quiet nbs tools experiments setup.py
	@$(BIN)/nbdev_clean
	@$(BIN)/python tools/export.py

docs: $(READY)
	@$(BIN)/python tools/docs.py

readme: $(READY)
	@$(BIN)/python tools/readme.py

audit:
	@$(PYTHON) -m venv --clear .audit && .audit/bin/python -m pip install -qq pip-audit==2.9.0
	@.audit/bin/pip-audit --strict --disable-pip --require-hashes -r hashes.txt

clean:
	rm -rf .venv .audit _docs _proc demo_output build dist *.egg-info nbs/nbdev.yml nbs/sidebar.yml
	find cammimic nbs tools -name __pycache__ -type d -prune -exec rm -rf {} +
