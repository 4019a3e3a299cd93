# One-liners for developers. ARGS= goes to the tool: make test ARGS="tests/sdk -k bundle"
BIN := .venv/bin
PATHS := src tests examples hatch_build.py gui/build.py gui/dev
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup quickstart format lint types imports check test test-sdk test-integrations \
	gui gui-check gui-dev gui-types wheel clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

setup:  ## .venv with the project (editable) and everything its checks need
	scripts/install test

quickstart:  ## Install and run a first job
	scripts/quickstart

format: setup  ## Rewrite the code in its one format
	$(BIN)/ruff check --quiet --fix-only $(PATHS) || true
	$(BIN)/ruff format $(PATHS)

lint: setup  ## Style, likely bugs, format; the SDK stays within Python 3.8
	$(BIN)/ruff check $(PATHS) $(ARGS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/vermin --quiet --no-tips --target=3.8- --violations src/foundations src/foundations_contrib \
	  src/atlas_runner/overlay.py src/atlas_runner/distributions.py

types: setup  ## Static types
	$(BIN)/basedpyright --pythonpath $(BIN)/python $(ARGS)

imports: setup  ## Which part may import which (.importlinter)
	$(BIN)/lint-imports $(ARGS)

check: lint types imports  ## All of the above

test: setup  ## The whole test suite, in parallel
	scripts/test $(ARGS)

test-sdk: setup  ## The SDK's tests on every Python that is found, the oldest and newest at least
	scripts/test-sdk $(ARGS)

test-integrations: setup  ## Tests with PyTorch, Lightning, Keras, Transformers (some GB)
	scripts/test-integrations $(ARGS)

gui: setup  ## The web pages, where gui/ has changed
	scripts/gui

gui-check: setup  ## Types, style, directions and component tests of the web pages
	scripts/gui run check

gui-dev: setup  ## The web pages from the sources, against a running server (ATLAS_URL names it)
	scripts/gui run dev

gui-types: setup  ## gui/src/api/schema.d.ts from the server's OpenAPI
	$(BIN)/python gui/dev/schema.py

wheel: setup  ## dist/foundations_atlas-*.whl
	$(BIN)/uv build --wheel --out-dir dist $(ARGS)

clean:  ## Remove what can be made again; jobs in .atlas stay
	rm -rf .venv dist build gui/node_modules src/atlas_server/gui_dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests examples -name __pycache__ -prune -exec rm -rf {} +
