# Each target sets up all that it needs, then does its job. Needed from the system: Python 3.11 or later, git, make.
#   make demo PYTHON=python3.12     takes that Python for .venv

PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)
STAMP := .venv/.installed
# git-annex and the programs of the workflow are found beside our Python, also by the jobs
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"
# tests start hundreds of processes: the package is compiled once, also where the machine says otherwise
COMPILED := PYTHONDONTWRITEBYTECODE=
# two workers; the tests of a file stay together, since they share what its fixtures make; long files come first
BY_FILE := -n 2 --dist loadfile --no-loadscope-reorder

# jobs start .venv/bin/python through a shell, which takes such a path apart: said before anything is installed
EMPTY :=
OPEN := (
CLOSE := )
HASH := \#
PARTED := $(filter-out 0 1,$(words $(CURDIR)))$(foreach sign,' " ` $(OPEN) $(CLOSE) [ ] { } < > $$ & ; | * ? ! ~ $(HASH) \,$(findstring $(sign),$(CURDIR)))
ifneq ($(strip $(PARTED)),)
ifneq ($(filter-out help,$(MAKECMDGOALS)),)
$(error the project lies in "$(CURDIR)", and a shell takes blanks, quotes and brackets in a path for something else: move it to a path without them)
endif
endif

.PHONY: help demo test test-faults test-long test-studies test-slurm test-full-size lint docs bench clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    run the embedded study and show where its report is"
	@echo "make test    run the tests (ARGS='-k name' picks some)"
	@echo "make test-faults  run the tests that kill, fill and cut off the workflow (docs/faults.md)"
	@echo "make test-long  run the tests that take a minute or more each: whole studies after edits, simulations"
	@echo "make test-studies  run each tiny study whole, once, in one shared project"
	@echo "make test-slurm  run the tests on a real Slurm of this machine (root; Debian: slurm-wlm munge slurmdbd mariadb-server)"
	@echo "make test-full-size  run the tests with a run of full size (6 GB of memory; real events)"
	@echo "make lint    ruff, mypy, snakefmt, snakemake --lint, import-linter"
	@echo "make docs    write config/README.md, docs/faults.md and the diagrams of docs/architecture.md"
	@echo "make bench   measure speed against named peers (ARGS='workflow --quick' picks one)"
	@echo "make clean   remove what rules made: results, logs, benchmarks, resources, .snakemake"
	@echo "The first call also makes .venv (about 2 GB); PYTHON=python3.12 picks the Python for it."

demo: $(STAMP)
	@$(IN_VENV) snakemake --profile cpu --config study=demo
	@$(IN_VENV) .venv/bin/python -m boldflow show demo

test: $(STAMP)
	@$(IN_VENV) $(COMPILED) .venv/bin/python -m pytest $(BY_FILE) $(ARGS)

test-faults: $(STAMP)
	@$(IN_VENV) $(COMPILED) .venv/bin/python -m pytest $(BY_FILE) tests/faults $(ARGS)

test-long: $(STAMP)
	@$(IN_VENV) $(COMPILED) .venv/bin/python -m pytest $(BY_FILE) tests/long $(ARGS)

test-studies: $(STAMP)
	@$(IN_VENV) $(COMPILED) .venv/bin/python -m pytest tests/studies $(ARGS)

# Starts two clusters of two nodes each on this machine and stops them; needs root and the packages named by `make help`.
test-slurm: $(STAMP)
	@$(IN_VENV) $(COMPILED) .venv/bin/python -m pytest -n 2 --dist loadgroup --timeout 1200 tests/slurm $(ARGS)

test-full-size: $(STAMP)
	@$(IN_VENV) .venv/bin/python -m pytest tests/full_size $(ARGS)

lint: $(STAMP)
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy
	$(IN_VENV) snakefmt --check Snakefile workflow
	$(IN_VENV) snakemake --lint
	$(IN_VENV) lint-imports

docs: $(STAMP)
	@.venv/bin/python -m boldflow config-page > config/README.md.part
	@mv config/README.md.part config/README.md
	@.venv/bin/python -m tests.faults.table > docs/faults.md.part
	@mv docs/faults.md.part docs/faults.md
	@$(IN_VENV) .venv/bin/python -m tests.made.architecture

bench: $(STAMP)
	@$(IN_VENV) .venv/bin/python -m bench $(ARGS)

# Never .venv, never results/README.md. Clones hold folders without write permission.
clean:
	@for folder in results resources; do if [ -d $$folder ]; then chmod -R u+w $$folder; fi; done
	@if [ -d results ]; then find results/ -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +; fi
	rm -rf logs benchmarks resources .snakemake

# A set-up that was cut off leaves .venv/.installing behind and is made anew: a half-written package can look whole.
$(STAMP): pyproject.toml requirements.lock
	@command -v git >/dev/null 2>&1 || { echo "git is missing: install it with the system's package manager" >&2; exit 1; }
	@set -e; \
	python=; seen=; \
	for candidate in $(CANDIDATES); do \
	    version=$$($$candidate -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || version=missing; \
	    seen="$$seen $$candidate ($$version)"; \
	    if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Python 3.11 or later is needed; tried:$$seen. Install one, or name it: make demo PYTHON=name-of-python" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python lacks the module venv or ensurepip: install it (on Debian and Ubuntu: the package python3-venv)" >&2; exit 1; \
	fi; \
	if [ -e .venv/.installing ]; then echo "The last set-up was cut off: starting it again"; rm -rf .venv; fi; \
	if [ ! -x .venv/bin/python ]; then mkdir -p .venv; touch .venv/.installing; $$python -m venv .venv; fi; \
	touch .venv/.installing; \
	echo "Installing into .venv (the first time: about 2 GB and a few minutes)"; \
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'; \
	rm .venv/.installing
	@touch $@
