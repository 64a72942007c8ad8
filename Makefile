# Assay: the commands people live with. `make` lists them.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
ALL_OPERANDS = $(patsubst sim/%/exhaustive.py,%,$(wildcard sim/$(or $(DATAPATH),*)/exhaustive.py))
RUN := $(BIN)/python -m

# Every setting may be left out. DATAPATH, CONFIG: which circuits. SEED, WAVES, JOBS: how to simulate
# them. LIB, LIBERTY, PDK_ROOT: which cells to map them to. CLOCK: the period to reach, in ns.
SELECT = $(if $(DATAPATH),--datapath '$(DATAPATH)') $(if $(CONFIG),--config '$(CONFIG)')
SIMULATE = $(SELECT) $(if $(SEED),--seed '$(SEED)') $(if $(JOBS),--jobs '$(JOBS)')
MAP = $(SELECT) $(if $(JOBS),--jobs '$(JOBS)') $(if $(LIB),--library '$(LIB)') \
	$(if $(LIBERTY),--liberty '$(LIBERTY)') $(if $(CLOCK),--clock '$(CLOCK)')
# LINES, LENGTHS, TRACE: what E-BATCH serves. INPUT: a table of one's own for DATAPATH=piper. MODULUS: of its categories. OUTPUT: a Parquet file.
READ = $(SELECT) --input '$(INPUT)' $(if $(MODULUS),--modulus '$(MODULUS)') \
	$(if $(OUTPUT),--output '$(OUTPUT)')
export PDK_ROOT

.DEFAULT_GOAL := help
.PHONY: help sim waves synth fpga exhaustive end-to-end serve policies test lint new doctor report speed clean

help: ## list the commands
	@echo 'Assay: machine-learning accelerator datapaths, simulated, mapped and weighed'
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20
	@echo 'Settings: DATAPATH= CONFIG= SEED= WAVES=1 JOBS= INPUT= OUTPUT= LIB=sky130hd|sg13g2 LIBERTY= PDK_ROOT= CLOCK='

sim: $(READY) $(if $(OUTPUT),$(READY)-dataframes) ## simulate every configuration and compare it with its golden model
	@$(if $(INPUT),$(RUN) sim.piper.file $(READ),$(RUN) sim $(SIMULATE) $(if $(WAVES),--waves))

waves: $(READY) ## simulate DATAPATH= CONFIG= SEED= and write an FST file
	@$(RUN) sim $(if $(CONFIG),$(SIMULATE),$(SIMULATE) --config small) --waves

synth: $(READY) ## map to gates, replay the netlists, compare with the fair baselines
	@$(RUN) synth $(MAP)

fpga: $(READY)-fpga ## place and route DATAPATH= CONFIG= on an FPGA (ECP5), the netlist replayed first
	@$(RUN) synth.fpga $(SELECT) $(if $(JOBS),--jobs '$(JOBS)')

exhaustive: $(READY) ## all operands there are: FLOAT16 operations, Piper's logarithm
	@test '$(ALL_OPERANDS)' || { echo "assay: DATAPATH is '$(DATAPATH)': nothing of it is tried exhaustively"; exit 2; }
	@set -e; for datapath in $(ALL_OPERANDS); do \
		$(RUN) sim.$$datapath.exhaustive $(if $(JOBS),--jobs '$(JOBS)') $(if $(CHUNKS),--chunks '$(CHUNKS)'); done

end-to-end: $(READY)-dataframes ## rows a second of Piper beside NumPy, polars and published figures
	@$(RUN) sim.piper.end_to_end $(if $(ROWS),--rows '$(ROWS)')

serve: $(READY) ## lines of text through the E-BATCH engine by every policy, simulated: LINES=
	@$(RUN) sim.ebatch.serving $(if $(LINES),--lines '$(LINES)') $(if $(JOBS),--jobs '$(JOBS)')

policies: $(READY) ## policies of E-BATCH on a large engine, by the cycle model: LENGTHS= TRACE=
	@$(RUN) sim.ebatch.experiment $(if $(LENGTHS),--lengths '$(LENGTHS)') \
		$(if $(TRACE),--trace '$(TRACE)') $(if $(JOBS),--jobs '$(JOBS)')

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

# One package is compiled by a makefile of its own, which fails now and then on a busy machine, and
# which must not take this one's flags: hence the second try where this stands.
INSTALL := env -u MAKEFLAGS -u MAKELEVEL PIP_CONSTRAINT=constraints.txt \
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet --editable

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
	@$(INSTALL) . > build/install.log 2>&1 || $(INSTALL) . > build/install.log 2>&1 || \
		{ tail -n 5 build/install.log; echo 'assay: the installation failed, see build/install.log'; exit 1; }
	@touch $(READY)

# What only some commands need, and large: extras of pyproject.toml.
$(READY)-%: $(READY)
	@echo 'assay: installing what $* needs into .venv (once)'
	@PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/pip install --quiet --editable '.[$*]' > build/install-$*.log 2>&1 || \
		{ tail -n 5 build/install-$*.log; \
		echo 'assay: the installation failed, see build/install-$*.log'; exit 1; }
	@touch $@
