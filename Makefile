# Every task of the book. `make` lists them. Switches are variables: make book PROFILE=quick
# Written for GNU make 3.81, which macOS has.
PROFILE ?= paper
DATA ?= auto
SAN_DATA ?= data
JOBS ?=
SEEDS ?=
FRESH ?=
SCHEDULER ?=
# TORCH=cpu at the first call: torch without CUDA, which is some gigabytes smaller on Linux.
TORCH ?=
CPU_INDEX := https://download.pytorch.org/whl/cpu
# For the page about a signal of your own; without SIGNAL it shows mitdb. Not from the environment,
# where GNU screen has a WINDOW.
SIGNAL :=
COLUMN :=
WINDOW :=
export PROFILE DATA SAN_DATA JOBS SEEDS FRESH SIGNAL COLUMN WINDOW

# With an environment of your own (conda): make PYTHON=python book
PYTHON ?= .venv/bin/python
ENV := $(if $(filter .venv/bin/python,$(PYTHON)),.venv/.complete)
# A wrong switch is refused before anything is installed.
READY := switches $(ENV)
# Packages are installed without bytecode, which saves a minute, so it has to be kept at first use.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help switches env data data-check book quick pages page bench study record pdf serve lab test test-slow lint format clean distclean

help: ## list the tasks
	@echo "make TASK [PROFILE=paper|quick] [DATA=auto|real|sample] [SAN_DATA=folder] [JOBS=n] [SEEDS='0 1'] [FRESH=1]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

switches:
	@python3 sanbook/build/switches.py

env: $(ENV) ## set up the environment in .venv (every other task does it too)

.venv/.complete: requirements.txt requirements-source.txt pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python3: is Python " + sys.version.split()[0] + ", below 3.11. Install a later one.")'
	python3 -m venv --clear .venv
ifeq ($(TORCH),cpu)
	.venv/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps --retries 1 --timeout 15 \
		--index-url $(CPU_INDEX) $(shell sed -nE 's/^(torch(vision)?==[^ ]+).*/\1/p' requirements.txt) \
		|| { echo "TORCH=cpu: $(CPU_INDEX) cannot be used. Leave TORCH out to install torch from PyPI."; exit 1; }
endif
	.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -r requirements-source.txt \
		|| echo "requirements-source.txt: not installed. The book leaves convolutional dictionaries out."
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

data: $(READY) ## fetch the data that are missing, verify them, and say which each page will use
	@$(PYTHON) -m sanbook.data --data $(DATA)

data-check: $(ENV) ## verify the data that are there by their hashes, without network
	@$(PYTHON) -m sanbook.data --check

book pages record pdf: $(READY)
	@$(PYTHON) task_book.py $@

book: ## execute every experiment that is out of date and build _build/html/index.html
pages: ## execute the experiments that are out of date, without building the book
record: ## keep the numbers of a full run with ten seeds on the paper's data in data/reproduced
pdf: ## print the book as _build/book.pdf (needs Chromium)

bench: $(READY) ## measure the speed (about six minutes), for data/reproduced/bench.csv
	$(PYTHON) tools/bench.py data/reproduced/bench.csv

study: $(READY) ## describe every record in SAN_DATA/physionet, whole (JOBS processes or SCHEDULER=tcp://host:port)
	@$(PYTHON) -m sanbook.signals.cli study "$$SAN_DATA/physionet" -o _build/study --jobs $(or $(JOBS),1) \
		--scheduler '$(SCHEDULER)' --kernel-sizes "$$($(PYTHON) -c 'print(*range(1, 250), sep=",")')"

quick: ## the book with few kernel sizes and epochs, to see that everything works
	@$(MAKE) book PROFILE=quick

page: $(READY) ## execute one page again: make page PAGE=physionet/mitdb
	@$(PYTHON) task_book.py "$(PAGE)"

serve: book ## show the book at http://127.0.0.1:8000, to this machine alone
	$(PYTHON) -m http.server --bind 127.0.0.1 --directory _build/html 8000

lab: $(ENV) ## open copies of the notebooks in JupyterLab
	@$(PYTHON) -m sanbook.build.lab

# The book that the last tests look at is built once, for all of them, when nothing else runs.
test: $(ENV) ## run the tests
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses $(or $(JOBS),auto) --ignore tests/build/test_book.py
	$(PYTHON) -m pytest --numprocesses $(or $(JOBS),auto) tests/build/test_book.py

test-slow: $(ENV) ## run the tests that take minutes
	$(PYTHON) -m pytest -m slow

lint: $(ENV) ## check style
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check

format: $(ENV) ## mend style
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

clean: ## remove what was built, keep the environment and the data
	rm -rf _build

distclean: clean ## remove the environment and tool caches too
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
