# Assay: the commands people live with. `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
RUN := $(BIN)/python -m

# Every setting may be left out. DATAPATH, CONFIG: which circuits. SEED, WAVES, JOBS: how to simulate
# them. LIB, LIBERTY, PDK_ROOT: which cells to map them to. CLOCK: the period to reach, in ns.
SELECT = $(if $(DATAPATH),--datapath '$(DATAPATH)') $(if $(CONFIG),--config '$(CONFIG)')
SIMULATE = $(SELECT) $(if $(SEED),--seed '$(SEED)') $(if $(JOBS),--jobs '$(JOBS)')
MAP = $(SELECT) $(if $(JOBS),--jobs '$(JOBS)') $(if $(LIB),--library '$(LIB)') \
	$(if $(LIBERTY),--liberty '$(LIBERTY)') $(if $(CLOCK),--clock '$(CLOCK)')
export PDK_ROOT

.DEFAULT_GOAL := help
.PHONY: help sim waves synth exhaustive test lint new doctor report speed clean

help: ## list the commands
	@echo 'Assay: machine-learning accelerator datapaths, simulated, mapped and weighed'
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18
	@echo 'Settings: DATAPATH= CONFIG= SEED= WAVES=1 JOBS= LIB=sky130hd|sg13g2 LIBERTY= PDK_ROOT= CLOCK='

sim: $(READY) ## simulate every configuration and compare it with its golden model
	@$(RUN) sim $(SIMULATE) $(if $(WAVES),--waves)

waves: $(READY) ## simulate DATAPATH= CONFIG= SEED= and write an FST file
	@$(RUN) sim $(if $(CONFIG),$(SIMULATE),$(SIMULATE) --config small) --waves

synth: $(READY) ## map to gates, replay the netlists, compare with the fair baselines
	@$(RUN) synth $(MAP)

exhaustive: $(READY) ## compare FLOAT16 operations with SoftFloat on all pairs of operands
	@$(RUN) sim.fp16.exhaustive $(if $(JOBS),--jobs '$(JOBS)') $(if $(CHUNKS),--chunks '$(CHUNKS)')

test: $(READY) lint ## all that must hold before a change lands
	@$(RUN) pytest -q -n $(or $(JOBS),auto) --dist worksteal --junitxml build/report/tests.xml

lint: $(READY) ## style, types, and the direction of imports
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || \
		{ echo 'assay: some files are not formatted: run .venv/bin/ruff format'; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > build/imports.log || { cat build/imports.log; exit 1; }
	@echo 'lint: style, types and imports are in order'

new: $(READY) ## start a datapath of your own: NAME=foo
	@$(RUN) sim.new '$(NAME)'

doctor: $(READY) ## versions, what is missing, and a smoke run
	@$(RUN) sim.doctor

report: $(READY) ## make build/report/index.html from the results so far
	@$(RUN) synth.report

speed: $(READY) ## measure how long the inner loop takes
	@$(RUN) sim.speed

clean: ## delete everything generated, the installed tools excepted
	rm -rf build

# The tools, once: exact versions, in a folder of the project.
$(READY): pyproject.toml constraints.txt
	@command -v '$(PYTHON)' > /dev/null || \
		{ echo 'assay: $(PYTHON) is missing: install Python 3.11 or newer, or set PYTHON='; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'assay: $(PYTHON) is older than 3.11: install a newer Python, or set PYTHON='; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo 'assay: Python lacks venv: install python3-venv'; exit 1; }
	@'$(PYTHON)' -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || \
		{ echo 'assay: Python lacks its headers: install python3-dev'; exit 1; }
	@command -v "$${CXX:-g++}" > /dev/null || command -v clang++ > /dev/null || \
		{ echo 'assay: no C++ compiler: install g++ or clang++, or set CXX='; exit 1; }
	@mkdir -p build
	@echo 'assay: installing the tools into .venv (once, about a minute)'
	@'$(PYTHON)' -m venv .venv
	@PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/pip install --quiet --editable . > build/install.log 2>&1 || \
		{ tail -n 5 build/install.log; echo 'assay: the installation failed, see build/install.log'; exit 1; }
	@touch $(READY)
