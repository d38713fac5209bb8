# The way in. `make` says what there is.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LOCK := requirements/dev.txt
# The oldest Airflow that is supported has an environment of its own, and the tests that speak to Airflow; of those that
# run dbt it has two examples. In its tasks there is no state in Variables.
OLDEST_VENV := .venv31
OLDEST_TESTS := tests/airflow tests/task_groups tests/test_provider.py --ignore-glob "*/test_variable_*.py" -m "not dbt"
OLDEST_EXAMPLES := tests/airflow/test_examples.py -k "import_without_errors or what_is_validated"

# Each older dbt that is supported has an environment of its own, without Airflow, and the life of a version there.
OLDER_DBT := 110 111

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all test-oldest test-older-dbt lint format bench lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/.installed ## Set up .venv: the locked packages, and this one as it stands

# The locked packages, each checked against its hash; done again when the lock changed, and only then.
$(VENV)/.locked: $(LOCK) requirements/uv.txt requirements/install.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" LOCK="$(LOCK)" sh requirements/install.sh
	@touch $@

# This package is linked, not copied. hatchling comes from the lock, so nothing is fetched here.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml airflow_dbt_promotion/get_provider_info.py
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: venv ## Tell the story of one promotion with real runs, in under three minutes
	@$(PY) example_dags/demo.py

test: venv ## Run all tests; core needs branch coverage of 100 %
	$(PY) -m pytest -n 2 --dist loadfile --cov --cov-report= $(PYTEST_ARGS)
	$(PY) -m coverage report --include='airflow_dbt_promotion/core/*' --fail-under=100

test-all: venv ## Run everything, the thorough forms and the older Airflow and dbt among it
	$(PY) -m pytest -n 2 --dist loadfile -m "thorough or not thorough" $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory test-oldest test-older-dbt

test-oldest: ## Run the tests that speak to Airflow on the oldest that is supported, in .venv31
	@$(MAKE) --no-print-directory VENV=$(OLDEST_VENV) LOCK=requirements/airflow31.txt venv
	$(OLDEST_VENV)/bin/python -m pytest -n 2 --dist loadfile $(OLDEST_TESTS) $(PYTEST_ARGS)
	$(OLDEST_VENV)/bin/python -m pytest $(OLDEST_EXAMPLES) $(PYTEST_ARGS)

test-older-dbt: ## Run the life of a version on dbt 1.10 and 1.11, in .venv110 and .venv111
	@for dbt in $(OLDER_DBT); do \
		$(MAKE) --no-print-directory VENV=.venv$$dbt LOCK=requirements/dbt$$dbt.txt venv && \
		.venv$$dbt/bin/python -m pytest -n 2 tests/any_dbt $(PYTEST_ARGS) || exit 1; \
	done

lint: venv ## Style, types and architecture
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

format: venv ## Put the code into its form, and mend what can be mended
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: venv ## Measure the speed that the README claims, a quarter of an hour; BENCH_ARGS=--all takes hours
	@$(PY) -m benchmarks $(BENCH_ARGS)

# `make lock UPGRADE=--upgrade` takes the newest of everything.
lock: ## Write the lock anew from pyproject.toml
	@UPGRADE="$(UPGRADE)" sh requirements/lock.sh

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(OLDEST_VENV) $(OLDER_DBT:%=.venv%) .demo airflow_home build dist htmlcov .coverage .coverage.* \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf example_dags/dbt/*/target example_dags/dbt/*/logs example_dags/dbt/*/dbt_packages
