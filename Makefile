# Every task of the book. `make` lists them. Switches are variables: make book PROFILE=quick
PROFILE ?= paper
DATA ?= auto
SAN_DATA ?= data
JOBS ?=
SEEDS ?=
SCHEDULER ?=
# For the page about a signal of your own; without SIGNAL it shows mitdb. Not from the environment,
# where GNU screen has a WINDOW.
SIGNAL :=
COLUMN :=
WINDOW :=
SWITCHES := PROFILE DATA SAN_DATA JOBS SEEDS SCHEDULER SIGNAL COLUMN WINDOW
export $(SWITCHES)
# A wrong value is refused before anything is installed. ($(shell) does not see what is exported.)
quoted = '$(subst ','\'',$(1))'
REFUSED := $(shell $(foreach name,$(SWITCHES),$(name)=$(call quoted,$($(name)))) python3 sanbook/build/switches.py)
$(if $(REFUSED),$(error $(REFUSED)))

# With an environment of your own (conda): make PYTHON=python book
PYTHON ?= .venv/bin/python
ENV := $(if $(filter .venv/bin/python,$(PYTHON)),.venv/.complete)
# Packages are installed without bytecode, which saves a minute, so it has to be kept at first use.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env data data-check book quick pages page bench study record pdf serve lab test lint format clean distclean

help: ## list the tasks
	@echo "make TASK [PROFILE=paper|quick] [DATA=auto|real|sample] [SAN_DATA=folder] [JOBS=n] [SEEDS='0 1'] [SCHEDULER=tcp://host:port]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(ENV) ## set up the environment in .venv (every other task does it too)

.venv/.complete: requirements.txt pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or later, but python3 is " + sys.version.split()[0])'
	python3 -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

data: $(ENV) ## fetch the data that are missing, verify them, and say which each page will use
	@$(PYTHON) -m sanbook.data --data $(DATA)

data-check: $(ENV) ## verify the data that are there by their hashes, without network
	@$(PYTHON) -m sanbook.data --check

book pages bench record pdf: $(ENV)
	@$(PYTHON) task_book.py $@

book: ## execute every experiment that is out of date and build _build/html/index.html
pages: ## execute the experiments that are out of date, without building the book
bench: ## measure the speed in full (about six minutes)
study: $(ENV) ## describe every record in SAN_DATA/physionet, whole (JOBS processes or SCHEDULER)
	@$(PYTHON) -m sanbook.signals.cli study "$$SAN_DATA/physionet" -o _build/study --jobs $(or $(JOBS),1) \
		--scheduler '$(SCHEDULER)' --kernel-sizes $(shell seq -s, 1 249)

record: ## keep the numbers of a full run with ten seeds on the paper's data in data/reproduced
pdf: ## print the book as _build/book.pdf (needs Chromium)

quick: ## the book with few kernel sizes and epochs, to see that everything works
	@$(MAKE) book PROFILE=quick

page: $(ENV) ## execute one page again: make page PAGE=physionet/mitdb
	@$(PYTHON) task_book.py $(PAGE)

serve: book ## show the book at http://localhost:8000
	$(PYTHON) -m http.server --directory _build/html 8000

lab: $(ENV) ## open the notebooks
	$(PYTHON) -m jupyterlab --notebook-dir notebooks

# The book that the last tests look at is built once, for all of them, when nothing else runs.
test: $(ENV) ## run the tests
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(or $(JOBS),auto) --ignore tests/test_book.py
	$(PYTHON) -m pytest --numprocesses $(or $(JOBS),auto) tests/test_book.py

lint: $(ENV) ## check style
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check

format: $(ENV) ## mend style
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

clean: ## remove what was built, keep the environment and the data
	rm -rf _build .pytask pytask.lock pytask.lock.journal

distclean: clean ## remove the environment and tool caches too
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache .hypothesis __pycache__ */__pycache__
