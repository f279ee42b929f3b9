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

# Made by `make docs` from the settings in src/recsweep/sweeps/options.py.
# >>> lists
SETTINGS := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES TRAINING_SEEDS SPLIT_SEEDS TOP POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON WORKERS_PER_STUDY CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS
OTHERS := CONFIG DATASET MODEL PHASE STUDY_NAME BEST_PARAMS MORE ESTIMATE STUDY TASKS JOB_WORKERS MAX_RUNNING_JOBS TO ITEMS CORES
key_TUNABLE_MODELS := models
key_DATASETS := datasets
key_ENGINE := engine
key_ALGO := algo
key_MAX_EVALS := max_evals
key_BUDGET := budget
key_SHARE := share
key_PRUNER := pruner
key_SCHEDULER := scheduler
key_PERTURBATION_INTERVAL := perturbation_interval
key_PHASES := phases
key_WARM_START := warm_start
key_EPOCHS := epochs
key_PATIENCE := patience
key_BATCH_SIZE := batch_size
key_SEED := seed
key_TIMEOUT_MINUTES := timeout_minutes
key_NO_IMPROVEMENT_AFTER := no_improvement_after
key_SWEEP_TIMEOUT_MINUTES := sweep_timeout_minutes
key_TRAINING_SEEDS := training_seeds
key_SPLIT_SEEDS := split_seeds
key_TOP := top
key_POPULARITY := popularity
key_DEVICE := device
key_COOLDOWN := cooldown
key_ENERGY := energy
key_WORKERS := workers
key_WORKERS_ON := workers_on
key_WORKERS_PER_STUDY := workers_per_study
key_CHECKPOINTS := checkpoints
key_CHECKPOINT_EPOCHS := checkpoint_epochs
key_CHECKPOINT_MINUTES := checkpoint_minutes
key_TRACK := track
key_WANDB_PROJECT := wandb_project
key_MLFLOW_URI := mlflow_uri
key_STORAGE := storage
key_STORAGE_FILE := storage_file
key_OUTPUTS := outputs
key_DATASET := dataset
key_MODEL := model
key_PHASE := phase
key_STUDY_NAME := study_name
key_BEST_PARAMS := best_params
key_MORE := more
key_ESTIMATE := estimate
key_STUDY := study
key_TASKS := tasks
key_JOB_WORKERS := job_workers
key_MAX_RUNNING_JOBS := max_running_jobs
key_TO := to
key_ITEMS := items
takes_tune := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME BEST_PARAMS MORE ESTIMATE
takes_open := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME BEST_PARAMS
takes_worker := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME STUDY
takes_evaluate := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME
takes_baseline := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET
takes_evidence := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES TRAINING_SEEDS SPLIT_SEEDS TOP POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME
takes_slurm := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES POPULARITY DEVICE COOLDOWN ENERGY WORKERS WORKERS_ON CHECKPOINTS CHECKPOINT_EPOCHS CHECKPOINT_MINUTES TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME STUDY TASKS
takes_stop := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_serve := STORAGE STORAGE_FILE OUTPUTS CONFIG JOB_WORKERS MAX_RUNNING_JOBS
takes_job-worker := STORAGE STORAGE_FILE OUTPUTS CONFIG MAX_RUNNING_JOBS
takes_jobs := OUTPUTS DATASET MODEL
takes_ls := STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE
takes_show := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_status := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_compare := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_summarize := TUNABLE_MODELS DATASETS PHASES STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_plots := TUNABLE_MODELS DATASETS PHASES STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME
takes_dashboard := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_doctor := TUNABLE_MODELS DATASETS STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_schema := 
takes_models := CONFIG
takes_report := TUNABLE_MODELS DATASETS PHASES STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_track := TRACK WANDB_PROJECT MLFLOW_URI STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE
takes_rm := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_mv := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_merge := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_export := STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_checkpoints := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES CHECKPOINTS STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME
takes_import := 
takes_new := DATASET MODEL
takes_new-model := 
takes_prepare := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL
takes_train := DEVICE STORAGE STORAGE_FILE OUTPUTS CONFIG
takes_recommend := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES DEVICE STORAGE STORAGE_FILE OUTPUTS CONFIG DATASET MODEL PHASE STUDY_NAME TO ITEMS
takes_ensemble := TUNABLE_MODELS DATASETS ENGINE ALGO MAX_EVALS BUDGET SHARE PRUNER SCHEDULER PERTURBATION_INTERVAL PHASES WARM_START EPOCHS PATIENCE BATCH_SIZE SEED TIMEOUT_MINUTES NO_IMPROVEMENT_AFTER SWEEP_TIMEOUT_MINUTES DEVICE STORAGE STORAGE_FILE OUTPUTS CONFIG
# <<<

# Settings of a sweep. Each travels to the commands as an environment variable and is expanded by the
# shell inside quotes, so that no value is ever read as a command or by make itself. STORAGE may hold a password:
# it stays in the environment, for arguments can be read by everybody.
unexport $(SETTINGS) $(OTHERS)
$(foreach name,$(SETTINGS) $(OTHERS),$(if $(value $(name)),$(eval export RECSWEEP_$(name) := $$(value $(name)))))

# key="value" for Snakemake, --key="value" for recsweep. A command is given what it takes; what was typed at make
# is handed on all the same, for it is better refused with a hint than ignored.
typed_here = $(filter command,$(firstword $(origin $(1))))
given = $(strip $(foreach name,$(filter-out STORAGE CONFIG CORES,$(SETTINGS) $(OTHERS)),$(if $(value $(name)),$(if $(filter $(name),$(1))$(call typed_here,$(name)),$(name)))))
snakemake_settings = sweep_file="$$RECSWEEP_CONFIG" $(foreach name,$(call given,$(SETTINGS)),$(key_$(name))="$$RECSWEEP_$(name)")
options = --config="$$RECSWEEP_CONFIG" $(foreach name,$(call given,$(takes_$(1))),--$(subst _,-,$(key_$(name)))="$$RECSWEEP_$(name)")

# What is printed when a run is stopped can be typed as it stands: the target, and what was given with it.
tune tune-all tune-smoke baseline evidence worker evaluate dry-run: export RECSWEEP_GOAL = $@
export RECSWEEP_GIVEN := $(foreach name,$(SETTINGS) $(OTHERS),$(if $(value $(name)),$(if $(filter command environment,$(firstword $(origin $(name)))),$(name))))

# A password in what was typed can be read by everybody: the commands say so.
export RECSWEEP_OPEN := $(if $(call typed_here,STORAGE)$(call typed_here,RECSWEEP_STORAGE),STORAGE)

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

# Snakemake is what CORES is for.
ifneq ($(if $(value CORES),$(call typed_here,CORES)),)
ifeq ($(filter tune-all tune-smoke evidence,$(MAKECMDGOALS)),)
$(error recsweep: CORES is for Snakemake, which $(or $(firstword $(MAKECMDGOALS)),help) does not run; drop it, or give WORKERS)
endif
endif

.PHONY: help setup env setup-ray setup-cluster setup-buckets setup-trackers setup-models bench-models test-ray test-buckets test-containers test-slurm test-trackers bench-trackers lock tune-all tune-smoke tune baseline evidence worker slurm-workers plots report compare ensemble recommend dashboard serve summarize evaluate doctor data dry-run
.PHONY: test test-long attack attack-service lint format docs bench bench-rivals bench-tuner bench-equality bench-gpu bench-panel bench-overhead
.PHONY: bench-schedulers bench-ray-overhead bench-estimate bench-recommend bench-scaling bench-scale bench-listing bench-import bench-report bench-shipped bench-service-pages bench-pruning bench-statistics bench-search bench-kills bench-best-config bench-ray bench-resume bench-buckets bench-service fuzz-service clean

help: ## this help
	@echo "recsweep: tune recommender models on data sets, fairly and without losing a trial"
	@echo
	@echo "targets:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  %-16s %s\n", $$1, $$2}'
	@echo
	@echo "variables (make tune-all MAX_EVALS=50 …):"
	@sed -n 's/^#v \([A-Z_]*\) *\(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  %-22s %s\n", $$1, $$2}'

# >>> help
#v TUNABLE_MODELS Models, e.g. "GRU4Rec SASRec"
#v DATASETS Data sets, by the names of their files
#v ENGINE What drives a study; hyperopt, optuna, ray
#v ALGO How parameters are proposed (bayes is TPE); random, bayes, anneal, exhaustive, gp, cmaes, qmc, nsga2, tpe
#v MAX_EVALS Trials of each study
#v BUDGET The unit in which every model gets the same; trials, seconds, epochs
#v SHARE Seconds of training or epochs for each model, where the budget counts these
#v PRUNER The rule that stops poor trials early; none, median, asha, hyperband, wilcoxon
#v SCHEDULER Ray Tune's rule that stops poor trials early (engine ray); none, asha, hyperband, median, pbt
#v PERTURBATION_INTERVAL Epochs from one comparison of the trials to the next (scheduler pbt)
#v PHASES Phases, one after the other, e.g. "coarse architecture training"
#v WARM_START Files or studies whose best are tried first
#v EPOCHS Most epochs of a trial
#v PATIENCE Validations without progress before a trial ends
#v BATCH_SIZE Training samples in a batch
#v SEED Seed of the sweep; every trial's seed follows from it
#v TIMEOUT_MINUTES No trial of a study starts after so many minutes of it
#v NO_IMPROVEMENT_AFTER End a study after N trials in a row without a better one
#v SWEEP_TIMEOUT_MINUTES No trial of the sweep starts after so many minutes of it
#v TRAINING_SEEDS Training seeds on which the best configurations are trained again
#v SPLIT_SEEDS Other random splits for each of them, where a data set is split at random
#v TOP How many of a study's best configurations are trained again
#v POPULARITY What is trained on each data set beside the models, to be better than; Pop, none
#v DEVICE Where trials are trained (auto is CUDA where there is one); auto, cpu, cuda, mps
#v COOLDOWN Rest between the trials of a study; not given: 60 where a GPU is used, else none
#v ENERGY Measure the energy of trials; on, off
#v WORKERS Worker processes of a study; -1: one a core
#v WORKERS_ON Where workers run; processes, ray
#v WORKERS_PER_STUDY Jobs that Snakemake starts for each study, each a recsweep worker; 0: one job does all
#v CHECKPOINTS A folder that machines share, or a bucket (s3://…, gs://…), to which checkpoints are sent besides checkpoints in the output folder
#v CHECKPOINT_EPOCHS A checkpoint of a trial in training after every N epochs
#v CHECKPOINT_MINUTES A checkpoint of a trial in training every N minutes
#v TRACK Where the sweep can be watched, e.g. "wandb mlflow tensorboard"; none: nowhere
#v WANDB_PROJECT The project at Weights & Biases
#v MLFLOW_URI The MLflow server; not given: a SQLite file in the output folder
#v STORAGE The store: sqlite:///FILE, postgresql+psycopg://… or journal:///FILE; not given: SQLite in the output folder. With a password in it, give it as RECSWEEP_STORAGE
#v STORAGE_FILE A file that holds the address of the store; only its owner may read it
#v OUTPUTS Where everything is written
#v CONFIG The sweep: a YAML file, or FILE.py:NAME for a SweepConfig made in Python; default config/config.yaml
#v DATASET Only this data set
#v MODEL Only this model
#v PHASE Only this phase
#v STUDY_NAME Name of the one study in the store, instead of its own
#v BEST_PARAMS Start from the parameters of a file; of a pattern, the newest
#v MORE Add N trials to a study that is complete
#v ESTIMATE With --dry-run: say hours and memory too, measured for N minutes at most; 0: do not
#v STUDY Only the study of this name in the store
#v TASKS Workers of each study, each a job of its own; default 2
#v JOB_WORKERS Job workers that it starts beside it; 0: they are started elsewhere, by recsweep job-worker; default 1
#v MAX_RUNNING_JOBS Jobs that run at once, over all job workers of the store; not given: one a job worker
#v TO Where to write: .parquet, .csv, or .jsonl, a line a user
#v ITEMS Items of a list; default 10
#v CORES Snakemake's cores; 1 runs study after study, each on the whole machine
#v PYTHON the Python (3.11 or newer) that .venv is made with
# <<<

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

setup-ray: setup ## install Ray into .venv: for ENGINE=ray and WORKERS_ON=ray
	@cmp -s envs/ray.lock $(VENV)/installed-ray.lock || { \
		$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement envs/ray.lock; \
		cp envs/ray.lock $(VENV)/installed-ray.lock; \
	}

setup-cluster: setup ## install Snakemake's executors for SLURM and Kubernetes into .venv
	@cmp -s envs/cluster.lock $(VENV)/installed-cluster.lock || { \
		$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement envs/cluster.lock; \
		cp envs/cluster.lock $(VENV)/installed-cluster.lock; \
	}

setup-buckets: setup ## install s3fs and gcsfs into .venv: for CHECKPOINTS=s3://… and gs://…
	@cmp -s envs/buckets.lock $(VENV)/installed-buckets.lock || { \
		$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement envs/buckets.lock; \
		cp envs/buckets.lock $(VENV)/installed-buckets.lock; \
	}

setup-trackers: setup ## install W&B and MLflow into .venv: for TRACK="wandb mlflow"
	@cmp -s envs/trackers.lock $(VENV)/installed-trackers.lock || { \
		$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement envs/trackers.lock; \
		cp envs/trackers.lock $(VENV)/installed-trackers.lock; \
	}

setup-models: setup ## install faiss, LightGBM and XGBoost into .venv: for the models NCL, LightGBM, XGBoost
	@cmp -s envs/models.lock $(VENV)/installed-models.lock || { \
		$(VENV)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement envs/models.lock; \
		cp envs/models.lock $(VENV)/installed-models.lock; \
	}

# What TRACK names is set up with the rest.
ifneq ($(filter wandb mlflow,$(TRACK)),)
tune tune-all tune-smoke evidence worker evaluate: setup-trackers
endif

env: ## make .env, which docker compose reads, with a new password and a new token
	@sh containers/env.sh

lock: ## rebuild the locks in envs/ from the .in files
	@"$(PYTHON)" -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv
	@bash envs/lock.sh "$(CURDIR)/.venv-lock/bin/uv"

tune-all: setup ## tune every model of the sweep on every data set
	@$(snakemake) --config $(snakemake_settings)

tune-smoke: CONFIG := $(SMOKE_CONFIG)
tune-smoke: export RECSWEEP_CONFIG := $(SMOKE_CONFIG)
tune-smoke: setup ## a sweep of minutes on real interactions, to see that everything works
	@$(snakemake) --config $(snakemake_settings)

tune: setup ## one study: make tune MODEL=SASRec DATASET=ml-100k MAX_EVALS=50
	@recsweep tune $(call options,tune)

baseline: setup ## train the most popular items on each data set, to be better than; tune does it by itself
	@recsweep baseline $(call options,baseline)

evidence: setup ## train the winners again on other seeds and splits, after what is missing of the sweep
	@$(snakemake) evidence --config $(snakemake_settings)

slurm-workers: setup ## submit a sweep to SLURM: make slurm-workers STUDY=default/ml-100k/SASRec/full TASKS=4
	@recsweep slurm $(call options,slurm)

worker: setup ## join the sweep that runs on STORAGE: fill its waiting slots, then end
	@recsweep worker $(call options,worker)

plots: setup ## draw every study: pages and pictures in outputs/plots/<sweep>
	@recsweep plots $(call options,plots)

dashboard: setup ## Optuna's dashboard on the store, on http://127.0.0.1:8080
	@recsweep dashboard $(call options,dashboard)

serve: setup ## tuning jobs over HTTP, on http://127.0.0.1:8000; prints where the token is
	@recsweep serve $(call options,serve)

report: setup ## the sweep's report, tables and tuning appendix: outputs/report/<sweep>/index.html
	@recsweep report $(call options,report)

# Parts of studies' names, word by word: neither a pattern nor a `;` in them is the shell's.
named = set -f; recsweep $(1) $(filter-out --study=%,$(call options,$(1))) -- $(if $(value STUDY),$$RECSWEEP_STUDY,$(2))

compare: setup ## studies side by side, and which model is better: make compare STUDY="ml-100k"; else all of the store
	@$(call named,compare,'*')

ensemble: setup ## the best of several trained models together: make ensemble STUDY=ml-100k
	@$(call named,ensemble)

recommend: setup ## the best items of each user: make recommend MODEL=SASRec DATASET=ml-100k TO=lists.parquet
	@recsweep recommend $(call options,recommend)

dry-run: setup ## how many trials tune-all would run, their hours and memory; ESTIMATE=0: trials alone; BUDGET=8h: what fits
	@recsweep tune --dry-run $(if $(value ESTIMATE),,--estimate=5) $(call options,tune)

summarize: setup ## rebuild all result files and the summary from the store
	@recsweep summarize $(call options,summarize)

evaluate: setup ## evaluate the winners of complete studies on the test split, once
	@recsweep evaluate $(call options,evaluate)

doctor: setup ## print what a bug report needs
	@recsweep doctor $(call options,doctor)

data: setup ## what the data sets are, and which split fits them
	@recsweep doctor --data $(call options,doctor)

lint: setup ## style, types and the pipeline's form
	@mypy & types=$$!; rest=0; \
		{ ruff check . && ruff format --check . && snakefmt --check Snakefile && snakemake --lint; } || rest=1; \
		wait $$types; exit $$rest

# Some 150 processes are started: where nothing keeps bytecode, each of them would compile recsweep again.
test test-long attack attack-service: export PYTHONDONTWRITEBYTECODE :=

# One process more than there are cores: many tests wait for processes of their own.
test: lint ## lint, then all tests that take seconds, on all cores
	@python -m pytest --numprocesses $$(( $$(nproc 2>/dev/null || echo 2) + 1 )) --dist loadfile

test-long: setup ## the tests that take minutes
	@python -m pytest -m long

attack: setup ## what was done to break it, once more: kills, signals, clocks, disks, stores; some 15 minutes
	@python -m pytest -m "" tests/end_to_end/test_attack.py tests/end_to_end/test_marked_password.py \
		tests/study/test_wholeness.py tests/datasets/test_prepare.py tests/recbole_api/test_stored.py tests/recbole_api/test_safety.py tests/common/test_masking.py

# Servers of buckets for tests and benchmarks, in a venv of its own.
with_moto = cmp -s envs/buckets-test.lock .venv-moto/installed.lock || { \
	rm -rf .venv-moto && "$(PYTHON)" -m venv .venv-moto && \
	.venv-moto/bin/python -m pip install --quiet --no-deps --requirement envs/buckets-test.lock && \
	cp envs/buckets-test.lock .venv-moto/installed.lock; }

test-buckets: setup-buckets ## the tests that need a bucket, against real servers of S3 and Google Cloud Storage (makes .venv-moto)
	@$(with_moto)
	@python -m pytest -m "" --dist no tests/checkpoints/test_bucket_servers.py tests/end_to_end/test_buckets.py

test-ray: setup-ray ## the tests that need Ray, one after the other
	@python -m pytest -m "" --dist no -k "ray and not array" tests

test-trackers: setup-trackers ## the tests that need W&B or MLflow, a real server of the latter among them
	@python -m pytest -m "" tests/tracking

test-containers: setup-cluster ## image, compose and k8s/ against linter and schemas; the set of compose as processes
	@python -m pytest -m "" --dist no tests/test_containers.py tests/test_k8s.py \
		tests/end_to_end/test_container_set.py tests/end_to_end/test_kubernetes.py

test-slurm: setup-cluster ## sweeps on a real SLURM of two nodes on this machine, as root (Debian: slurm-wlm, munge)
	@python -m pytest -m "" -s --dist no tests/end_to_end/test_slurm.py

attack-service: setup ## kill servers, job workers and trials at random, 50 times on each store; cancel a job 20 times
	@python -m pytest -m "" -s tests/end_to_end/test_service_kills.py

docs: setup ## make the tables of the pages, the lists above and the schemas anew, from the settings
	@python -m recsweep.cli.reference

format: setup ## put the code into its form
	@ruff check --fix --quiet . || true
	@ruff format --quiet .
	@snakefmt Snakefile

bench: setup ## speed beside RecBole, WarpRec, implicit, LensKit; studies (makes .venv-recbole, -warprec, -libraries)
	@python benchmarks/speed.py --write
	@python benchmarks/speed.py --kind general --write
	@python benchmarks/speed.py --kind large --write
	@python benchmarks/studies.py --write
	@python benchmarks/rivals.py --write
	@python benchmarks/libraries.py --write

bench-rivals: setup ## beside WarpRec, implicit and LensKit: seconds, scores (makes .venv-warprec, .venv-libraries)
	@python benchmarks/rivals.py --write
	@python benchmarks/libraries.py --write

bench-tuner: setup ## recsweep and RecBole's own tuner side by side (makes .venv-recbole)
	@python benchmarks/side_by_side.py

bench-best-config: setup ## RecBole alone trains a best_config.yaml: the same metrics (makes .venv-recbole)
	@python benchmarks/best_config.py

bench-models: setup-models ## each of RecBole's 94 models, one trial: run, or refused with the reason
	@python benchmarks/every_model.py --write

bench-equality: setup ## the fast paths against RecBole on all of ml-100k: losses, metrics, dropout
	@python benchmarks/equality.py --write

bench-gpu: setup ## a GPU in 12 minutes: equality, speed, precision, sharing, fusion, the first trial (DEVICE=cpu: small, without one)
	@python benchmarks/gpu.py --device $(or $(DEVICE),cuda) $(if $(filter cpu,$(DEVICE)),--small) --write

bench-panel: setup ## 25 general models against RecBole's own run, same split (makes .venv-recbole)
	@python -W ignore benchmarks/panel.py --keep .venv-recbole/panel --write

bench-overhead: setup ## milliseconds a trial outside training
	@python benchmarks/overhead.py

bench-report: setup ## the report of 6 models x 3 data sets x 20 trials x 5 seeds: seconds, megabytes, no network
	@python benchmarks/document.py --write

bench-shipped: setup ## the shipped sweep with five seeds, on from what is kept of it, and its report
	@python benchmarks/shipped.py

bench-service-pages: setup ## the service's pages over 10,000 jobs and 1,000,000 trials in PostgreSQL
	@python benchmarks/service_pages.py --write

bench-import: setup ## 1, 5 and 20 million ratings imported, checked, filtered and split: seconds and memory
	@python benchmarks/import_data.py --write

bench-scale: setup ## 0.1 to 20 million interactions: split, start, validation, memory; a validation beside its product
	@python benchmarks/scale.py --write
	@python benchmarks/validation.py --write

bench-listing: setup ## recsweep ls over 10,000 studies, on each kind of store
	@python benchmarks/listing.py --write

bench-estimate: setup ## seconds and memory as a dry run says them, against what studies then take; 8 minutes
	@python benchmarks/estimate.py --write

bench-recommend: setup ## top-100 lists for a million users, beside the product of their factors
	@python benchmarks/recommend.py --write

bench-scaling: setup ## 1 to 32 workers on one study, and the store's cost with 10,000 trials in it
	@python benchmarks/scaling.py

bench-pruning: setup ## epochs and best scores with and without the shipped pruner, five seeds of FPMC
	@python benchmarks/pruning.py --algo random

bench-statistics: setup ## false positives, power and coverage of comparisons; scores of a million users
	@python benchmarks/comparing.py --write

bench-schedulers: setup-ray ## the same with Ray Tune's ASHA and without it
	@python benchmarks/pruning.py --engine ray --algo random --pruners asha

bench-ray-overhead: setup-ray ## Ray Tune's own cost a trial, over the optuna engine
	@python benchmarks/ray_overhead.py

bench-search: setup ## what each engine and algo finds: FPMC's recorded grid, and published searches
	@python benchmarks/search_fpmc.py
	@python benchmarks/search_published.py

bench-kills: setup ## 20 kills in a sweep of 30 trials, against an undisturbed one
	@python benchmarks/kills.py

bench-buckets: setup-buckets ## S3 away for a minute, then refusing every third call; memory over 500 trials (makes .venv-moto)
	@$(with_moto)
	@python -W ignore benchmarks/buckets.py --write

bench-resume: setup ## trials killed at random epochs and gone on with, each fast model and three others
	@python -W ignore benchmarks/resume.py --write

bench-ray: setup-ray ## two Ray nodes, one of them killed in the middle of a study, ten times
	@python benchmarks/ray_nodes.py

bench-service: setup ## 50 clients that poll and 50 streams of events against a real server, for 60 seconds
	@python benchmarks/service_load.py --write

bench-trackers: setup-trackers ## trackers that hang, fail, run full and are killed; what tracking costs; its memory
	@python benchmarks/trackers.py --write

fuzz-service: setup ## 10,000 requests made of the OpenAPI document against a real server; goes on where it broke off (makes .venv-fuzz)
	@cmp -s envs/fuzz.lock .venv-fuzz/installed.lock || { \
		rm -rf .venv-fuzz && "$(PYTHON)" -m venv .venv-fuzz && \
		.venv-fuzz/bin/python -m pip install --quiet --no-deps --requirement envs/fuzz.lock && \
		cp envs/fuzz.lock .venv-fuzz/installed.lock; }
	@python benchmarks/fuzz_service.py --write

clean: ## remove what set-up and tests made; never the outputs
	@rm -rf $(VENV) .venv-lock .venv-recbole .venv-fuzz .venv-moto .fuzz .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis
