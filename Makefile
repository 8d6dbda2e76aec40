# Every task of the book. `make` lists them. Switches are variables: make book PROFILE=quick
PROFILE ?= paper
DATA ?= auto
SAN_DATA ?= data
SEEDS ?= $(if $(filter quick,$(PROFILE)),0,0 1 2)
# Of the page that asks how much is luck.
MANY_SEEDS ?= $(if $(filter quick,$(PROFILE)),0 1,0 1 2 3 4 5 6 7 8 9)
# For the page about a signal of your own; without SIGNAL it takes mitdb. Not from the environment,
# where GNU screen has a WINDOW.
SIGNAL :=
COLUMN :=
WINDOW := 1000
$(if $(filter paper quick,$(PROFILE)),,$(error expected PROFILE=paper or quick, but it is '$(PROFILE)'))
$(if $(word 2,$(SIGNAL)),$(error expected a SIGNAL without spaces in its path, but it is '$(SIGNAL)'; rename it))
# Pages that are executed at the same time, each on its share of the processors.
PROCESSORS := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(PROCESSORS)
# With an environment of your own (conda): make PYTHON=python book
PYTHON ?= .venv/bin/python
ENV := $(if $(filter .venv/bin/python,$(PYTHON)),.venv/.complete)

MAKEFLAGS += --jobs=$(JOBS) --no-builtin-rules
export SAN_DATA
# Packages are installed without bytecode, which saves a minute, so it has to be kept at first use.
unexport PYTHONDONTWRITEBYTECODE
# Under each page, to make it again.
export SWITCHES = PROFILE=$(PROFILE) DATA=$(DATA) SAN_DATA=$(SAN_DATA) SEEDS="$(SEEDS)" MANY_SEEDS="$(MANY_SEEDS)"$(if $(SIGNAL), SIGNAL="$(SIGNAL)" COLUMN="$(COLUMN)" WINDOW=$(WINDOW))
# One thread for each page: more would only wait for each other.
export OMP_NUM_THREADS = $(shell expr $(PROCESSORS) / $(JOBS) \| 1)

DATABASES := apnea-ecg bidmc bpssrat cebsdb ctu-uhb-ctgdb drivedb emgdb mitdb noneeg prcp \
             shhpsgdb slpdb sufhsdb voiced wrist
DATABASE_PAGES := $(DATABASES:%=book/physionet/%.ipynb)
IMAGE_PAGES := book/mnist.ipynb book/fashion_mnist.ipynb
CARD_PAGES := $(addprefix book/data/,physionet.ipynb uci-epilepsy.ipynb mnist.ipynb fashion-mnist.ipynb)
# The longest first, so that none of them is waited for at the end.
MEASURED_PAGES := $(IMAGE_PAGES) book/uci_epilepsy.ipynb $(DATABASE_PAGES) book/playground.ipynb \
                  $(addprefix book/,own_signal.ipynb physionet_summary.ipynb \
                    seeds.ipynb differences.ipynb ledger.ipynb peers.ipynb)
PAGES := $(MEASURED_PAGES) $(CARD_PAGES) book/pictures.ipynb book/speed.ipynb
RESULTS := _build/results

.PHONY: help env data data-check book quick html pages pdf record serve lab test lint format bench clean distclean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

help: ## list the tasks
	@echo "make TASK [PROFILE=paper|quick] [DATA=auto|real|sample] [SAN_DATA=folder] [JOBS=n] [SEEDS='0 1']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(ENV) ## set up the environment in .venv (every other task does it too)

.venv/.complete: requirements.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or later, but python3 is " + sys.version.split()[0])'
	python3 -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

data: $(ENV) ## fetch the data that are missing, verify them, and say which each page will use
	@$(PYTHON) -m san_data --data $(DATA) --directory $(SAN_DATA)

data-check: $(ENV) ## verify the data that are there by their hashes, without network
	@$(PYTHON) -m san_fetch --directory $(SAN_DATA)

book: html ## execute every experiment that is out of date and build _build/html/index.html
	@$(PYTHON) make_book.py slowest

quick: ## the book with few kernel sizes and epochs, to see that everything works
	@$(MAKE) book PROFILE=quick

pages: $(PAGES) ## execute the experiments that are out of date, without building the book

html: _build/html/.complete ## build the book

_build/html/.complete: $(PAGES) $(wildcard book/*.md book/*.bib book/_toc.yml book/_static/* book/_extensions/*) \
                      CITATION.cff README.md _config.yml | $(ENV)
	$(PYTHON) make_book.py html
	@touch $@

# A key is written anew only if its content has changed, so the page runs only then.
_build/keys/physionet/%.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/physionet.ipynb book/physionet/$*.ipynb \
	  database=$* profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) \
	  "seeds=$(SEEDS)" results=$(RESULTS) --depends $(SAN_DATA)/physionet/$* data/published

FOLDER_uci-epilepsy := uci-epilepsy
FOLDER_mnist := MNIST
FOLDER_fashion-mnist := FashionMNIST
_build/keys/data/%.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/data_labelled.ipynb book/data/$*.ipynb \
	  dataset=$* data=$(DATA) data_directory=$(SAN_DATA) --depends $(SAN_DATA)/$(FOLDER_$*)

_build/keys/data/physionet.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/data_physionet.ipynb book/data/physionet.ipynb \
	  data=$(DATA) data_directory=$(SAN_DATA) --depends $(SAN_DATA)/physionet

$(IMAGE_PAGES:book/%.ipynb=_build/keys/%.json): _build/keys/%.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/images.ipynb book/$*.ipynb \
	  dataset=$(subst _,-,$*) profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) \
	  "seeds=$(SEEDS)" results=$(RESULTS) --depends $(SAN_DATA)/$(FOLDER_$(subst _,-,$*)) data/published

_build/keys/uci_epilepsy.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/uci_epilepsy.ipynb book/uci_epilepsy.ipynb \
	  profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) \
	  "seeds=$(SEEDS)" results=$(RESULTS) --depends $(SAN_DATA)/uci-epilepsy data/published

PLAYGROUND := mitdb bidmc emgdb
_build/keys/playground.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/playground.ipynb book/playground.ipynb \
	  "databases=$(PLAYGROUND)" profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) \
	  results=$(RESULTS) --depends $(PLAYGROUND:%=$(SAN_DATA)/physionet/%)

_build/keys/own_signal.json: FORCE | data
	@$(PYTHON) make_book.py key notebooks/own_signal.ipynb book/own_signal.ipynb \
	  "path=$(SIGNAL)" "column=$(COLUMN)" window=$(WINDOW) profile=$(PROFILE) data=$(DATA) \
	  data_directory=$(SAN_DATA) "seeds=$(SEEDS)" results=$(RESULTS) \
	  --depends $(if $(SIGNAL),$(wildcard $(basename $(SIGNAL)).*),$(SAN_DATA)/physionet/mitdb)

_build/keys/physionet_summary.json: $(DATABASE_PAGES) FORCE | $(ENV)
	@$(PYTHON) make_book.py key notebooks/physionet_summary.ipynb book/physionet_summary.ipynb \
	  results=$(RESULTS) --depends $(RESULTS)/physionet data/published

_build/keys/pictures.json: book/physionet/mitdb.ipynb FORCE | data
	@$(PYTHON) make_book.py key notebooks/pictures.ipynb book/pictures.ipynb \
	  data=$(DATA) data_directory=$(SAN_DATA) results=$(RESULTS) \
	  --depends $(RESULTS)/physionet/mitdb.json $(SAN_DATA)/physionet/mitdb

_build/keys/seeds.json: $(DATABASE_PAGES) FORCE | $(ENV)
	@$(PYTHON) make_book.py key notebooks/seeds.ipynb book/seeds.ipynb \
	  profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) \
	  "seeds=$(MANY_SEEDS)" results=$(RESULTS) --depends $(RESULTS)/physionet data/published

_build/keys/differences.json: book/physionet_summary.ipynb FORCE | $(ENV)
	@$(PYTHON) make_book.py key notebooks/differences.ipynb book/differences.ipynb \
	  profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) "seeds=$(SEEDS)" \
	  results=$(RESULTS) --depends $(RESULTS)/physionet.csv data/published \
	  $(addprefix $(SAN_DATA)/,physionet uci-epilepsy MNIST FashionMNIST)

_build/keys/ledger.json: $(addprefix book/,physionet_summary.ipynb seeds.ipynb uci_epilepsy.ipynb) \
                         $(IMAGE_PAGES) FORCE | $(ENV)
	@$(PYTHON) make_book.py key notebooks/ledger.ipynb book/ledger.ipynb results=$(RESULTS) \
	  --depends san_ledger.py data/published data/reproduced data/causes.csv \
	  $(addprefix $(RESULTS)/,seeds.json uci_epilepsy.json mnist.json fashion_mnist.json physionet.csv)

# Of each kind of data one in the quick book: all methods on all data take minutes.
PEERS_DATA := $(if $(filter quick,$(PROFILE)),mitdb mnist,mitdb \
                $(filter-out mitdb,$(DATABASES)) uci-epilepsy mnist fashion-mnist)
_build/keys/peers.json: $(DATABASE_PAGES) FORCE | $(ENV)
	@$(PYTHON) make_book.py key notebooks/peers.ipynb book/peers.ipynb \
	  "datasets=$(PEERS_DATA)" profile=$(PROFILE) data=$(DATA) data_directory=$(SAN_DATA) \
	  results=$(RESULTS) --depends san_peers.py $(RESULTS)/physionet \
	  $(addprefix $(SAN_DATA)/,physionet uci-epilepsy MNIST FashionMNIST)

_build/keys/speed.json: $(RESULTS)/bench.csv FORCE | $(ENV)
	@$(PYTHON) make_book.py key notebooks/speed.ipynb book/speed.ipynb \
	  results=$(RESULTS) --depends $(RESULTS)/bench.csv

# Not before all keys are written that wait for no page: while Make still writes keys, it starts
# with pages that others wait for, not with the longest.
FIRST_KEYS := $(patsubst book/%.ipynb,_build/keys/%.json,\
                $(IMAGE_PAGES) book/uci_epilepsy.ipynb $(DATABASE_PAGES) $(CARD_PAGES) \
                book/playground.ipynb book/own_signal.ipynb)

book/%.ipynb: _build/keys/%.json | $(FIRST_KEYS)
	@$(PYTHON) make_book.py page $<

# Measured after the other pages, so that nothing else runs beside it.
$(RESULTS)/bench.csv: bench.py san_core.py san_train.py | $(ENV) $(MEASURED_PAGES)
	OMP_NUM_THREADS=$(PROCESSORS) $(PYTHON) bench.py --quick --data $(DATA) $@

bench: $(ENV) ## measure the batched sweep against a plain loop, in full (about five minutes)
	OMP_NUM_THREADS=$(PROCESSORS) $(PYTHON) bench.py --data $(DATA) $(RESULTS)/bench.csv

record: $(MEASURED_PAGES) ## keep the numbers of a full run on the paper's data in data/reproduced
	$(PYTHON) -m san_ledger $(RESULTS)

pdf: html ## print the book as _build/book.pdf (needs Chromium)
	$(PYTHON) make_book.py pdf

serve: html ## show the book at http://localhost:8000
	$(PYTHON) -m http.server --directory _build/html 8000

lab: $(ENV) ## open the notebooks
	$(PYTHON) -m jupyterlab --notebook-dir notebooks

test: $(ENV) ## run the tests
	OMP_NUM_THREADS=$(PROCESSORS) $(PYTHON) -m pytest

lint: $(ENV) ## check style
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check

format: $(ENV) ## mend style
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

clean: ## remove what was built, keep the environment and the data
	rm -rf _build book/physionet book/data book/figures book/*.ipynb

distclean: clean ## remove the environment and tool caches too
	rm -rf .venv *.egg-info .pytest_cache .ruff_cache .hypothesis __pycache__ tests/__pycache__
