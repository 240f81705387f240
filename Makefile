# Needs make and Python 3.11 or newer, nothing else. uv is used when it is there.
SYSTEM ?= booking_rush
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
SUITES := $(addprefix tests/,unit contracts docs conformance faults systems)
TESTS := $(wildcard $(SUITES)) $(filter-out $(SUITES) tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))

# Tests wait for servers more than they work: so many files at a time, in the order of the suites.
LANES ?= 3

ifneq ($(shell command -v uv),)
INSTALL := uv pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: help setup run test check bench clean
.DELETE_ON_ERROR:

help:
	@echo "make setup   install everything into $(VENV)"
	@echo "make run     start a system with demo data    SYSTEM=$(SYSTEM) ARGS='--port 8080'"
	@echo "make test    run the tests, fast suites first  ARGS='-k relay'"
	@echo "make check   lint, format, types, imports, and freehold check on every system"
	@echo "make bench   run the benchmarks               ARGS=--quick"
	@echo "make clean   remove $(VENV) and caches"

setup: $(VENV)/.dev $(VENV)/.bench

run: $(VENV)/.base
	@$(BIN)/freehold run $(SYSTEM) $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m pytest $(if $(LANES),-n $(LANES) --dist loadfile --no-loadscope-reorder) $(TESTS) $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-logo
	@set -e; for file in systems/*/system.py; do \
		if [ -f "$$file" ]; then $(BIN)/freehold check "$$(basename "$$(dirname "$$file")")"; fi; done

bench: $(VENV)/.dev $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Each stamp says which dependencies are installed; a second call has nothing to do.
$(VENV)/.base: pyproject.toml
ifneq ($(shell command -v uv),)
	@test -x $(BIN)/python || uv venv --quiet --python '>=3.11' $(VENV)
else
	@test -x $(BIN)/python || { \
		for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
			if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				echo "Setting up $(VENV) with $$($$python --version)"; \
				$$python -m venv $(VENV) && exit; \
				rm -rf $(VENV); \
				echo "It cannot make virtual environments: install its venv module (Debian: python3-venv)." >&2; exit 1; \
			fi; \
		done; \
		echo "Python 3.11 or newer is needed, and none was found. Install it, or uv, which brings its own." >&2; exit 1; }
	@$(INSTALL) --upgrade 'pip>=25.1'
endif
	@echo "Installing Freehold and what it needs"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: $(VENV)/.base
	@echo "Installing what '$*' needs"
	@$(INSTALL) --group $*
	@touch $@
