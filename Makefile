# Two commands do everything from a fresh clone with python3, make and a package registry: `make demo`, `make test`.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lab bench lint types scripts unit notebooks pictures clean env-local env-notebook env-test chromium node ipykernel6

BIN := .venv/bin
WORKERS ?= 2
ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: env-local ## Run an agent on the local model, live; ARGS="--model scripted" runs it without one
	$(BIN)/agentlab demo $(ARGS)

test: env-test chromium lint types scripts unit notebooks ## Run every check: lint, types, scripts, tests, notebooks
	@echo "== all passed"

lab: env-notebook ## Open JupyterLab on the first notebook
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/01_first_agent.ipynb $(ARGS)

bench: env-test ## Measure speed, as ratios against the targets
	$(BIN)/python -m tests.benchmarks $(ARGS)

lint: env-test ## Check style and format
	@echo "== lint"
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: env-test ## Check types
	@echo "== types"
	$(BIN)/mypy

scripts: node ## Test the widgets' scripts and check their types
	@echo "== scripts"
	@if [ -e node_modules/.agentlab-ready ]; then \
	  node --test --test-reporter=spec tests/widgets/*.test.mjs && node_modules/.bin/tsc -p tests/widgets/tsconfig.json; \
	else echo "-- skipped: no Node"; fi

unit: env-test ipykernel6 node ## Run the tests; ARGS="-k name" picks some
	@echo "== tests"
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup --durations 5 $(ARGS)

# A cell that runs out of time makes nbval expect all later ones to fail; --runxfail counts them as what they are.
notebooks: env-test ## Run the notebooks and compare their outputs
	@echo "== notebooks"
	$(BIN)/python -m pytest -q --nbval --nbval-current-env --nbval-sanitize-with notebooks/sanitize.cfg \
	  --nbval-cell-timeout=60 --runxfail notebooks

pictures: env-test chromium ## Take the pictures of the widgets anew
	$(BIN)/python -m tests.browser.pictures

env-local:
	@.ci/venv local

env-notebook:
	@.ci/venv local,notebook

env-test:
	@.ci/venv test

chromium:
	@.ci/chromium

node:
	@.ci/node

ipykernel6: env-test
	@.ci/ipykernel6

clean: ## Remove .venv, node_modules, caches and what the demo wrote
	rm -rf .venv node_modules demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find agentlab tests -name __pycache__ -type d -prune -exec rm -rf {} +
