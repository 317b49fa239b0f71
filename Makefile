# `make help` lists what there is. Settings: PYTHON= (any Python 3.10 to 3.13), PIP_ARGS=, and for tables
# MODELS= METHODS= CONTROLS= STEPS= DATA= LIMIT= DEVICE= LAUNCHER= SHARDS= RESULTS= ARGS= (any further key=value).

PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
RESULTS ?= results
PY := $(VENV)/bin/python

comma := ,
COMMAS = $(subst $(eval ) ,$(comma),$(strip $(subst $(comma), ,$(1))))
LIST = [$(call COMMAS,$(1))]
OPTIONS = $(if $(MODELS),'experiment.models=$(call LIST,$(MODELS))') $(if $(METHODS),'experiment.methods=$(call LIST,$(METHODS))') \
	$(if $(CONTROLS),'experiment.controls=$(call LIST,$(CONTROLS))') $(if $(STEPS),experiment.steps=$(STEPS)) \
	$(if $(DATA),data=$(DATA)) $(if $(ROOT),'data.root="$(ROOT)"') $(if $(LIMIT),data.limit=$(LIMIT)) \
	$(if $(DEVICE),compute.device=$(DEVICE)) 'paths.results="$(RESULTS)"' $(ARGS)
LAUNCH = $(if $(LAUNCHER),hydra/launcher=$(LAUNCHER) $(if $(SHARDS),hydra.launcher.shards=$(SHARDS)))
SETTINGS = $(if $(ROOT),'data.root="$(ROOT)"') $(if $(LIMIT),data.limit=$(LIMIT)) $(if $(DEVICE),compute.device=$(DEVICE)) \
	'paths.results="$(RESULTS)"' $(ARGS)
EXPERIMENTS := $(filter-out reference-%,$(subst _,-,$(basename $(notdir $(wildcard conf/experiment/*.yaml)))))
# Figures that are no experiment: a recipe of its own each, which writes $(RESULTS)/report/NAME.png and .pdf (NAME: la_fig2).
FIGURES := la-fig2 aii-fig1 aii-fig2 aii-fig3
TARGETS := $(filter-out demo trust atlas reference-%,$(EXPERIMENTS)) $(FIGURES)

.DEFAULT_GOAL := help
.PHONY: help setup demo docs test cluster-test coverage gpu benchmark smoke smoke-metrics smoke-transformer smoke-precomputed smoke-table sanity contradictions identify-images rounding-noise lite0 reference lint format clean $(EXPERIMENTS) $(FIGURES)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@for f in $$(ls conf/experiment/*.yaml | sort -V); do n=$$(basename $$f .yaml | tr _ -); \
	  case $$n in demo|reference-*) ;; *) printf '  make %-18s %s\n' $$n "$$(sed -n 's/^  title: *//p' $$f | tr -d '\"')";; esac; done
	@echo "Tables take MODELS= METHODS= CONTROLS= STEPS= DATA= ROOT= LIMIT= DEVICE= LAUNCHER= SHARDS= RESULTS= ARGS=."

# Each set-up is a file that says it is done: nothing is installed twice, and a change of pyproject.toml installs what is new.
$(VENV)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v < (3, 14) else \
	  "Heatproof needs Python 3.10 to 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 …" % v)'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/demo: $(VENV)/python pyproject.toml
	$(PY) -m pip install $(PIP_ARGS) --quiet --disable-pip-version-check --editable ".[demo]"
	touch $@

$(VENV)/dev: $(VENV)/demo
	$(PY) -m pip install $(PIP_ARGS) --quiet --disable-pip-version-check --editable ".[demo,lite,dev,digits,hf]"
	touch $@

$(VENV)/others: $(VENV)/demo
	$(PY) -m pip install $(PIP_ARGS) --quiet --disable-pip-version-check --editable ".[demo,captum,cam,lrp]"
	touch $@

$(VENV)/cluster: $(VENV)/dev
	$(PY) -m pip install $(PIP_ARGS) --quiet --disable-pip-version-check --editable ".[ray]"
	touch $@

$(VENV)/digits: $(VENV)/demo
	$(PY) -m pip install $(PIP_ARGS) --quiet --disable-pip-version-check --editable ".[demo,digits]"
	touch $@

$(VENV)/docs: $(VENV)/demo
	$(PY) -m pip install $(PIP_ARGS) --quiet --disable-pip-version-check --editable ".[demo,docs]"
	touch $@

setup: $(VENV)/demo ## install Heatproof into .venv

demo: $(VENV)/demo ## heatmaps and a table from a pretrained network, on photographs, in minutes
	$(PY) -m bench.run experiment=demo 'paths.results="$(RESULTS)/demo"'
	$(PY) -m bench.report experiment=demo 'paths.results="$(RESULTS)/demo"'
	@echo "The picture: $(RESULTS)/demo/report/demo.png"

test: $(VENV)/dev ## all tests
	$(PY) -m pytest --numprocesses=auto

cluster-test: $(VENV)/cluster ## the launchers on real engines: a Ray cluster of two nodes, a Slurm of one; some minutes, Slurm as root
	$(PY) -m pytest -m cluster

gpu: $(VENV)/dev $(VENV)/others ## what a GPU can tell, in nine minutes: tests on it, passes, drift, efficiency; writes docs/performance-gpu.md
	$(PY) scripts/gpu.py $(ARGS)

benchmark: $(VENV)/dev $(VENV)/others ## beside other libraries and a plain loop: who computes the same, and how long; five quiet minutes
	$(PY) -m bench.benchmark $(if $(MODELS),model=$(MODELS)) $(if $(DATA),data=$(DATA)) $(SETTINGS)

coverage: $(VENV)/dev ## which lines no test runs
	$(PY) -m pytest --numprocesses=auto --cov=bench --cov=heatproof --cov=methods --cov=metrics --cov-report=term-missing:skip-covered

docs: $(VENV)/docs ## the documentation as a site, build/site, links checked
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

sanity: $(VENV)/demo ## do maps change when the network forgets? A guard: exits with 1 where they do not
	$(PY) -m bench.sanity -m method=$(or $(call COMMAS,$(METHODS)),sm$(comma)ig) model=$(or $(MODELS),tiny) data=$(or $(DATA),synthetic) $(SETTINGS)

contradictions: $(VENV)/demo ## measure what docs/contradictions.md tells; ENTRIES="9 12" some of it, STEPS=14 with coarser curves
	$(PY) scripts/measure_contradictions.py model=$(or $(MODELS),tiny) data=$(or $(DATA),synthetic) \
	  $(if $(ENTRIES),entries=$(call COMMAS,$(ENTRIES))) $(if $(STEPS),steps=$(STEPS)) $(SETTINGS)

identify-images: $(VENV)/demo ## which of the papers' two image sets lies at ROOT=…
	$(PY) scripts/identify_images.py data=$(or $(DATA),la_release) $(SETTINGS)

rounding-noise: $(VENV)/demo ## how far rounding alone moves each method's score
	$(PY) scripts/rounding_noise.py model=$(or $(MODELS),tiny) data=$(or $(DATA),synthetic) $(if $(METHODS),'method=$(call LIST,$(METHODS))') $(SETTINGS)

# What lies in results/report. The first sweep makes each map once for its three scores; the tables find them there.
LITE0 = la-table1 aii-table1 aii-table2 aii-table3
lite0: MODELS = efficientnet_lite0
lite0: DATA = la_release
lite0: $(VENV)/demo ## the designs of LA's Table 1 and AII's Tables 1 to 3 on EfficientNet-Lite0 and LA's images at ROOT=
	-$(PY) -m bench.run experiment=aii_table1 'experiment.metrics=[unified,fair,kl]' $(LAUNCH) $(OPTIONS)
	$(MAKE) --keep-going $(LITE0) MODELS=$(MODELS) DATA=$(DATA); status=$$?; \
	  $(PY) -m bench.report 'paths.results="$(RESULTS)"' && exit $$status

# Rows that others may compare with: CIRCLES=a,b (all, if it is not said), PROCESSES= side by side. Goes on from what is there.
REFERENCE = $(if $(filter file,$(origin RESULTS)),results/reference,$(RESULTS))
reference: $(VENV)/others $(VENV)/dev ## the rows of results/reference, from LA's images at ROOT=; CIRCLES=, PROCESSES=, DEVICE=, LIMIT=
	$(PY) -m bench.reference $(if $(CIRCLES),circles=$(call COMMAS,$(CIRCLES))) $(if $(PROCESSES),processes=$(PROCESSES)) \
	  $(subst 'paths.results="$(RESULTS)"','paths.results="$(REFERENCE)"',$(OPTIONS)); status=$$?; \
	  $(PY) -m bench.store compact "$(REFERENCE)" curves=false && exit $$status

# Figures that are computed in one go. Their networks and methods are lists, as in a sweep.
WHAT = $(if $(MODELS),model=$(call COMMAS,$(MODELS))) $(if $(METHODS),method=$(call COMMAS,$(METHODS))) \
	$(if $(DATA),data=$(DATA)) $(SETTINGS)

la-fig2: $(VENV)/demo ## LA, Figure 2: confidence and OOD share of attacked images, step by step
	$(PY) -m bench.studies.la_fig2 $(WHAT)

aii-fig1: $(VENV)/demo ## AII, Figure 1: two objects in one picture, which of them does a method see?
	$(PY) -m bench.studies.aii_fig1 $(WHAT)

aii-fig2: $(VENV)/digits ## AII, Figure 2: extra information, a patch that decides and one that does not (own networks and data)
	$(PY) -m bench.studies.aii_fig2 $(WHAT)

aii-fig3: $(VENV)/digits ## AII, Figure 3: one path, ten classes accumulated along it; are the maps alike? (own network and data)
	$(PY) -m bench.studies.aii_fig3 $(WHAT)

SMOKE = $(RESULTS)/smoke
METRICS := $(call COMMAS,$(basename $(notdir $(wildcard conf/metric/*.yaml))))
FEW_DRAWS = metric.sensitivity_n.draws=5 metric.faithfulness_correlation.draws=5
TRANSFORMER = model=timm model.name=vit_tiny_patch16_224 model.weights=random data.limit=1 compute.batch_size=1 \
  'metric=[unified]' metric.unified.step=37632
SMALL = model.size=32 data.limit=2 compute.batch_size=2 paths.results=$(SMOKE)

THIS := $(MAKE) # under a name that does not make `make -n` run the line
TINY = RESULTS=$(SMOKE) MODELS=tiny DATA=synthetic LIMIT=2 ARGS="model.size=32 compute.batch_size=2 compute.workers=0" CONTROLS=random STEPS=8

smoke: $(VENV)/dev ## every method, metric, table and figure once, on the tiny network, in some fifteen minutes
	rm -rf $(SMOKE)
	printf '%s\n' '[a-b]*' '[c-z]*' | OMP_NUM_THREADS=1 xargs -P 2 -I LETTERS $(PY) -m bench.run -m \
	  'method=glob("LETTERS",exclude=[precomputed,captum,cam,rollout,generic_attention])' run.save_attributions=true \
	  $(SMALL) 'metric=[unified,kl]' metric.unified.step=384 metric.kl.step=384
	OMP_NUM_THREADS=1 $(MAKE) --jobs=2 smoke-metrics smoke-transformer smoke-precomputed smoke-table
	printf '%s\n' $(TARGETS) | OMP_NUM_THREADS=1 xargs -P 2 -n 9 $(PY) scripts/smoke.py $(SMOKE) $(THIS) VENV=$(VENV) $(TINY) --
	printf '%s\n' trust atlas | OMP_NUM_THREADS=1 xargs -P 2 -n 1 $(PY) scripts/smoke.py $(SMOKE) $(THIS) VENV=$(VENV) \
	  $(TINY) METHODS="sm random" --
	$(PY) -m bench.report paths.results=$(SMOKE)

smoke-metrics:
	$(PY) -m bench.run -m method=sm,random $(SMALL) 'metric=[$(METRICS)]' $(FEW_DRAWS)

smoke-transformer:
	$(PY) -m bench.run -m method=rollout,generic_attention $(TRANSFORMER) paths.results=$(SMOKE)

smoke-precomputed:
	test ! -e conf/method/precomputed.yaml || \
	  $(PY) -m bench.run method=precomputed method.root=$$(ls -d $(SMOKE)/attributions/* | head -n 1) $(SMALL) 'metric=[unified]'

smoke-table:
	$(MAKE) la-fig7 $(TINY)

lint: $(VENV)/dev ## style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/dev ## put style right where a tool can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## remove the set-up, not the results
	rm -rf $(VENV) build *.egg-info

# All variants in one sweep, then the rankings that they make beside each other.
trust: $(VENV)/demo
	$(PY) -m bench.run experiment=trust $(LAUNCH) $(OPTIONS); status=$$?; \
	  $(PY) -m bench.studies.trust $(OPTIONS) && exit $$status

atlas: $(VENV)/others # other libraries' methods

# The table is made even if an image failed, and says so; make then fails as the run did.
$(filter-out demo trust,$(EXPERIMENTS)): $(VENV)/demo
	$(PY) -m bench.run experiment=$(subst -,_,$@) $(LAUNCH) $(OPTIONS); status=$$?; \
	  $(PY) -m bench.report experiment=$(subst -,_,$@) $(OPTIONS) && exit $$status
