# Two commands are all a stranger needs: `make run` and `make test`. Each makes its own environment first.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-tests
export DO_NOT_TRACK := 1
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test test-all check format bench install install-serving clean

run: install ## the whole thing: simulate, train, serve, learn. ARGS go to `segue up`
	$(BIN)/segue up $(ARGS)

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(STAMP)

$(TEST_STAMP): $(STAMP) tests/requirements.lock
	$(BIN)/python -m pip install --quiet --requirement tests/requirements.lock
	touch $(TEST_STAMP)

# Half the size of the whole: what `segue serve`, `work`, `decide`, `import` and `features` need.
install-serving: ## on a machine that only serves
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-serving.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .

test: $(TEST_STAMP) ## every test but the long proofs
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

test-all: $(TEST_STAMP) ## the long proofs too
	$(BIN)/python -m pytest -q -m "slow or not slow" $(ARGS)

check: $(TEST_STAMP) ## format, lint, types, import order
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

format: $(TEST_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(TEST_STAMP) ## ratios of one run; prints a table, writes data/local/bench.json
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV) data/local
