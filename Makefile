# Nightcast. Everything below needs Python 3.11 to 3.13 and make, nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FROM   ?= 2008-12-29
TO     ?= 2008-12-31
DAG    ?= sales_forecast
RUNS   ?= 4
FAST   := -q --numprocesses 2 --dist loadfile --ignore=tests/end_to_end --ignore=tests/compose

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run up load backfill test lint types unit coverage e2e browser test-compose format bench constraints clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.sandbox ## install Nightcast and its sandbox into .venv

setup-dev: $(VENV)/.dev ## the same, with what tests and linters need

run: setup ## run one sales period (DAG=sales_forecast DAY=2008-12-31) through a real scheduler, print the result
	@$(BIN)/python -m nightcast.sandbox.commands run $(DAY) --dag $(DAG)

up: setup ## keep Airflow, S3 and Redshift running on this machine, print address and login
	@$(BIN)/python -m nightcast.sandbox.commands up

backfill: setup ## backfill FROM=2008-12-29 TO=2008-12-31, both inclusive, RUNS=4 at once; DAG=, RETRAIN=weekly, ANEW=1
	@$(BIN)/python -m nightcast.sandbox.commands backfill $(FROM) $(TO) --dag $(DAG) --runs $(RUNS) \
		$(if $(RETRAIN),--retrain $(RETRAIN)) $(if $(ANEW),--anew)

load: setup ## keep a file as a table of the local Redshift: TABLE=name FILE=path (COLUMNS='name type, ...')
	@$(BIN)/python -m nightcast.sandbox.own_tables '$(TABLE)' '$(FILE)' --columns '$(COLUMNS)'

test: setup-dev lint types unit e2e ## install, lint, type-check, test

lint: setup-dev ## ruff, import contracts, SQL, CloudFormation, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint include/sql
	$(BIN)/cfn-lint include/iam/*.yaml
	$(BIN)/codespell

types: setup-dev ## mypy, strict on the stage packages
	$(BIN)/mypy

unit: setup-dev ## the fast tests
	$(BIN)/pytest $(FAST)

coverage: setup-dev ## the fast tests, counting the lines that they reach: takes half as long again
	$(BIN)/pytest $(FAST) --cov --cov-report=term:skip-covered --cov-fail-under=85

e2e: setup-dev ## the pipeline through dag.test() and through a real scheduler
	$(BIN)/pytest -q --numprocesses 2 --dist loadfile tests/end_to_end

test-compose: setup-dev ## docker-compose.yaml, run: needs Docker, or root on Debian to install it; 20 minutes
	NIGHTCAST_TEST_COMPOSE=1 $(BIN)/pytest -x --numprocesses 0 --durations=0 --durations-min=5 -v tests/compose

format: setup-dev ## let ruff and sqlfluff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix include/sql

bench: setup-dev ## the benchmarks, with their ratios
	$(BIN)/python benchmarks/insights.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/prediction.py
	$(BIN)/python benchmarks/realtime.py
	$(BIN)/python benchmarks/quality.py

constraints: setup-dev ## resolve all requirements anew into constraints.txt
	cat requirements.txt requirements-sandbox.txt requirements-dev.txt docker/requirements*.txt | grep -v '^-' > $(VENV)/all.in
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
		--output-file $(VENV)/resolved.txt --upgrade $(VENV)/all.in
	sed -e 's/\[[a-z0-9,_-]*\]//' $(VENV)/resolved.txt > constraints.txt

clean: ## remove .venv and .nightcast
	rm -rf $(VENV) .nightcast

# uv installs in seconds what takes pip minutes; where it can not be had, pip does the same.
define install
	@echo "installing $(1)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv || true
	@{ [ -z "$(NO_UV)" ] && $(BIN)/python -m uv pip install --quiet --python $(BIN)/python $(1); } \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Nightcast needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.sandbox: $(VENV)/pyvenv.cfg requirements.txt requirements-sandbox.txt constraints.txt pyproject.toml
	$(call install,-r requirements.txt -r requirements-sandbox.txt setuptools)

$(VENV)/.dev: $(VENV)/pyvenv.cfg requirements.txt requirements-sandbox.txt requirements-dev.txt constraints.txt pyproject.toml
	$(call install,-r requirements-dev.txt setuptools)
	@touch $(VENV)/.sandbox
