# The front door of recsweep. `make` alone prints what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# The environment gives the commands' options too: RECSWEEP_CONFIG, RECSWEEP_STORAGE, …
ifeq ($(value RECSWEEP_CONFIG),)
CONFIG ?= config/config.yaml
endif
# The smoke test has a sweep of its own.
SMOKE_CONFIG := config/smoke.yaml

# Settings of a sweep. Each travels to the commands as an environment variable and is expanded by the
# shell inside quotes, so that no value is ever read as a command or by make itself. STORAGE may hold a password:
# it stays in the environment, for arguments can be read by everybody.
SETTINGS := TUNABLE_MODELS DATASETS MAX_EVALS COOLDOWN ENGINE ALGO PRUNER PHASES EPOCHS PATIENCE BATCH_SIZE DEVICE TIMEOUT_MINUTES SWEEP_TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER WARM_START WORKERS WORKERS_PER_STUDY SEED STORAGE STORAGE_FILE OUTPUTS
OTHERS := CONFIG MODEL DATASET PHASE STUDY_NAME BEST_PARAMS MORE CORES
unexport $(SETTINGS) $(OTHERS)
$(foreach name,$(SETTINGS) $(OTHERS),$(if $(value $(name)),$(eval export RECSWEEP_$(name) := $$(value $(name)))))

key_TUNABLE_MODELS := models
key_DATASETS := datasets
key_MAX_EVALS := max_evals
key_COOLDOWN := cooldown
key_ENGINE := engine
key_ALGO := algo
key_PRUNER := pruner
key_PHASES := phases
key_EPOCHS := epochs
key_PATIENCE := patience
key_BATCH_SIZE := batch_size
key_DEVICE := device
key_TIMEOUT_MINUTES := timeout_minutes
key_SWEEP_TIMEOUT_MINUTES := sweep_timeout_minutes
key_NO_IMPROVEMENT_AFTER := no_improvement_after
key_WARM_START := warm_start
key_WORKERS := workers
key_WORKERS_PER_STUDY := workers_per_study
key_SEED := seed
key_STORAGE_FILE := storage_file
key_OUTPUTS := outputs
given := $(foreach name,$(filter-out STORAGE,$(SETTINGS)),$(if $(value $(name)),$(name)))
# key="value" for Snakemake, --key="value" for recsweep
snakemake_settings = sweep_file="$$RECSWEEP_CONFIG" $(foreach name,$(given),$(key_$(name))="$$RECSWEEP_$(name)")
# … and what names one study
study_settings = $(foreach name,MODEL DATASET PHASE STUDY_NAME,$(if $(value $(name)),--$(flag_$(name))="$$RECSWEEP_$(name)"))
flag_MODEL := model
flag_DATASET := dataset
flag_PHASE := phase
flag_STUDY_NAME := study-name
recsweep_settings = --config="$$RECSWEEP_CONFIG" $(foreach name,$(given),--$(subst _,-,$(key_$(name)))="$$RECSWEEP_$(name)")

# What is printed when a run is stopped can be typed as it stands: the target, and what was given with it.
tune tune-all tune-smoke worker evaluate: export RECSWEEP_GOAL = $@
export RECSWEEP_GIVEN := $(foreach name,$(SETTINGS) $(OTHERS),$(if $(value $(name)),$(if $(filter command environment,$(firstword $(origin $(name)))),$(name))))

VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
snakemake := snakemake --cores $(if $(value CORES),"$$RECSWEEP_CORES",1)

# A variable on make's command line that nothing reads is a slip: MODELS for TUNABLE_MODELS.
known := $(SETTINGS) $(OTHERS) PYTHON VENV SMOKE_CONFIG SHELL MAKEFLAGS RECSWEEP_% OMP_% MKL_% CUDA_% PG% PIP_%
typed := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
unknown := $(firstword $(filter-out $(known),$(typed)))
ifneq ($(unknown),)
near := $(shell "$(PYTHON)" -c 'import difflib, sys; name, *known = sys.argv[1:]; \
	parts = [k for k in known if name in k.split("_")] or difflib.get_close_matches(name, known, 1); \
	print("did you mean %s?" % parts[0] if parts else "use one of " + ", ".join(known))' \
	'$(subst ','"'"',$(unknown))' $(SETTINGS) $(OTHERS))
$(error recsweep: $(unknown) is no variable of this Makefile; $(near))
endif

.PHONY: help setup lock tune-all tune-smoke tune worker plots dashboard summarize evaluate doctor dry-run
.PHONY: test test-long attack lint format bench bench-tuner bench-equality bench-overhead
.PHONY: bench-scaling bench-pruning bench-search bench-kills bench-best-config clean

help: ## this help
	@echo "recsweep: tune recommender models on data sets, fairly and without losing a trial"
	@echo
	@echo "targets:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  %-16s %s\n", $$1, $$2}'
	@echo
	@echo "variables (make tune-all MAX_EVALS=50 …):"
	@sed -n 's/^#v \([A-Z_]*\) *\(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  %-22s %s\n", $$1, $$2}'

#v TUNABLE_MODELS  models of the sweep, e.g. "GRU4Rec SASRec" (files in config/models/)
#v DATASETS        data sets of the sweep, e.g. "ml-100k" (files in config/datasets/)
#v MAX_EVALS       trials of each study
#v ENGINE          hyperopt or optuna
#v ALGO            random, bayes, anneal, exhaustive, gp, cmaes, qmc or nsga2
#v PRUNER          none, median, asha, hyperband or wilcoxon
#v PHASES          phases to search one after the other, e.g. "coarse architecture training"
#v EPOCHS          most epochs of a trial
#v PATIENCE        validations without progress before a trial ends
#v BATCH_SIZE      training samples in a batch
#v DEVICE          auto, cpu, cuda or mps
#v TIMEOUT_MINUTES         no trial of a study starts after so many minutes
#v SWEEP_TIMEOUT_MINUTES   no trial of the sweep starts after so many minutes
#v NO_IMPROVEMENT_AFTER    trials in a row without a better one that end a study
#v WARM_START      files or studies whose best are tried first
#v COOLDOWN        seconds of rest between trials; default 60 with a GPU, 0 without
#v WORKERS         worker processes of a study; -1: one a core
#v WORKERS_PER_STUDY       jobs that Snakemake starts for each study; default 0: one job does all
#v SEED            seed of the sweep
#v STORAGE         the store's address; default sqlite:///outputs/recsweep.db. With a password: export RECSWEEP_STORAGE
#v STORAGE_FILE    a file that holds the store's address, which only its owner may read
#v OUTPUTS         where everything is written; default outputs
#v CONFIG          the sweep file; default config/config.yaml
#v MODEL           for `make tune`: the model of the one study
#v DATASET         for `make tune`: the data set of the one study
#v PHASE           for `make tune`: the phase of the one study
#v STUDY_NAME      for `make tune`: another name of the one study in the store
#v BEST_PARAMS     for `make tune`: a file of parameters to start from
#v MORE            for `make tune`: trials to add to a study that is complete
#v CORES           Snakemake's cores; 1 runs study after study, each on the whole machine
#v PYTHON          the Python (3.11 or newer) that .venv is made with

setup: ## install everything into .venv (the other targets do so by themselves)
	@cmp -s envs/requirements.lock $(VENV)/installed.lock || { \
		"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
			echo "recsweep needs Python 3.11 or newer, but $(PYTHON) is $$("$(PYTHON)" --version 2>&1); give another with PYTHON=…" >&2; exit 2; }; \
		rm -rf $(VENV); \
		"$(PYTHON)" -m venv $(VENV) || { echo "cannot make $(VENV); the venv module is missing; install it (Debian: python3-venv)" >&2; exit 2; }; \
		bash envs/install.sh $(VENV)/bin/python; \
		cp envs/requirements.lock $(VENV)/installed.lock; \
	}
	@$(VENV)/bin/python -m recsweep.training.fast.build

lock: ## rebuild envs/requirements.lock from the .in files
	@"$(PYTHON)" -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	@bash envs/lock.sh "$(CURDIR)/.venv-lock/bin/uv"

tune-all: setup ## tune every model of the sweep on every data set
	@$(snakemake) --config $(snakemake_settings)

tune-smoke: CONFIG := $(SMOKE_CONFIG)
tune-smoke: export RECSWEEP_CONFIG := $(SMOKE_CONFIG)
tune-smoke: setup ## a sweep of minutes on real interactions, to see that everything works
	@$(snakemake) --config $(snakemake_settings)

tune: setup ## one study: make tune MODEL=SASRec DATASET=ml-100k MAX_EVALS=50
	@recsweep tune $(recsweep_settings) $(study_settings) \
		$(if $(value BEST_PARAMS),--best-params="$$RECSWEEP_BEST_PARAMS") $(if $(value MORE),--more="$$RECSWEEP_MORE")

worker: setup ## join the sweep that runs on STORAGE: fill its waiting slots, then end
	@recsweep worker $(recsweep_settings) $(study_settings)

plots: setup ## draw every study: pages and pictures in outputs/plots/<sweep>
	@recsweep plots $(recsweep_settings) $(study_settings)

dashboard: setup ## Optuna's dashboard on the store, on http://127.0.0.1:8080
	@recsweep dashboard $(recsweep_settings)

dry-run: setup ## say how many trials tune-all would run
	@recsweep tune --dry-run $(recsweep_settings)

summarize: setup ## rebuild all result files and the summary from the store
	@recsweep summarize $(recsweep_settings)

evaluate: setup ## evaluate the winners of complete studies on the test split, once
	@recsweep evaluate $(recsweep_settings)

doctor: setup ## print what a bug report needs
	@recsweep doctor $(recsweep_settings)

lint: setup ## style, types and the pipeline's form
	@ruff check .
	@ruff format --check .
	@mypy
	@snakefmt --check Snakefile
	@snakemake --lint

test: lint ## lint, then all tests that take seconds, on all cores
	@python -m pytest --numprocesses logical --dist loadfile

test-long: setup ## the tests that take minutes
	@python -m pytest -m long

attack: setup ## what was done to break it, once more: kills, signals, clocks, disks, stores; some 30 minutes
	@python -m pytest -m "" tests/end_to_end/test_attack.py tests/end_to_end/test_marked_password.py \
		tests/study/test_wholeness.py tests/datasets/test_prepare.py tests/recbole_api/test_stored.py tests/recbole_api/test_safety.py tests/common/test_masking.py

format: setup ## put the code into its form
	@ruff check --fix --quiet . || true
	@ruff format --quiet .
	@snakefmt Snakefile

bench: setup ## speed of training, recsweep against RecBole (makes .venv-recbole)
	@python benchmarks/speed.py --write

bench-tuner: setup ## recsweep and RecBole's own tuner side by side (makes .venv-recbole)
	@python benchmarks/side_by_side.py

bench-best-config: setup ## RecBole alone trains a best_config.yaml: the same metrics (makes .venv-recbole)
	@python benchmarks/best_config.py

bench-equality: setup ## the fast paths against RecBole on all of ml-100k: losses, metrics, dropout
	@python benchmarks/equality.py --write

bench-overhead: setup ## milliseconds a trial outside training
	@python benchmarks/overhead.py

bench-scaling: setup ## 1 to 32 workers on one study, and the store's cost with 10,000 trials in it
	@python benchmarks/scaling.py

bench-pruning: setup ## epochs and best scores with and without the shipped pruner, five seeds of FPMC
	@python benchmarks/pruning.py --algo random

bench-search: setup ## what each engine and algo finds: FPMC's recorded grid, and published searches
	@python benchmarks/search_fpmc.py
	@python benchmarks/search_published.py

bench-kills: setup ## 20 kills in a sweep of 30 trials, against an undisturbed one
	@python benchmarks/kills.py

clean: ## remove what set-up and tests made; never the outputs
	@rm -rf $(VENV) .venv-lock .venv-recbole .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
