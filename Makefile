# `make run` and `make test` do their own set-up from nothing but Python 3.11+, make and git.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
# What the package needs; and with the extra `dev`, what its tests need beside it.
INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev
# The tool that lists all this has an environment of its own: beside it, every process that imports Prefect would start
# a second later, since jsonschema then builds grammars for formats that nothing here has.
SBOM_BIN := .venv/sbom/bin
INSTALLED_SBOM := .venv/.installed-sbom

export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: run test test-all check sbom mlflow prefect picture pictures terminal-pictures reading-picture clean

run: $(INSTALLED)  ## bring every stage up to date and show the figures
	$(BIN)/coronet run

# A file of tests at a time on each core: threads of two processes on the same cores would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: check  ## all checks and the tests that do not last long
	$(PYTEST) -m "not slow"

test-all: check  ## all checks and all tests
	$(PYTEST)

check: $(INSTALLED_DEV) sbom  ## style, types, import contracts and licences: what pre-commit runs too
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip-licenses --summary > /dev/null

sbom: sbom.json  ## what is installed, as a CycloneDX file

sbom.json: $(INSTALLED_DEV) $(INSTALLED_SBOM)
	$(SBOM_BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file $@ .venv

mlflow: $(INSTALLED)  ## MLflow's page at http://127.0.0.1:5000
	$(BIN)/python -m flows.servers mlflow

prefect: $(INSTALLED)  ## Prefect's page at http://127.0.0.1:4200
	$(BIN)/python -m flows.servers prefect

picture: $(INSTALLED)  ## the README's picture, from the demo's report; needs Chromium
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$$(mktemp -d)" \
	  --window-size=1000,2600 --screenshot=docs/report.png "file://$(CURDIR)/reports/report.html"
	$(BIN)/python -c "from PIL import Image; f = 'docs/report.png'; Image.open(f).convert('RGB').quantize(128).save(f, optimize=True)"

pictures: $(INSTALLED_DEV)  ## the pictures of Prefect's and MLflow's pages, from a running `coronet up` in which `retrain` has run; needs Chromium
	$(BIN)/python -m benchmarks.screenshots

terminal-pictures: $(INSTALLED_DEV)  ## a terminal on which `coronet run` is at work, light and dark
	$(BIN)/python -m benchmarks.terminal_picture

# Test images of a run of params/xray.yaml, from NIH's ChestX-ray8, in class folders (docs/serving.md).
XRAYS := data/raw/xray/images
FILES ?= $(addprefix $(XRAYS)/,healthy/00001864_003.jpg pneumonia/00001437_024.jpg healthy/00001300_000.jpg \
  pneumonia/00012211_000.jpg)

reading-picture: $(INSTALLED_DEV)  ## the picture of the reading page, with the last run of params/xray.yaml; needs Chromium and its driver
	$(BIN)/python -m tests.integration.reading_page_picture $(FILES)

clean:  ## delete what the stages made, but not DVC's cache: `dvc checkout` brings it back
	rm -rf data/split data/residuals models reports dvc_plots .coronet

# uv installs in seconds what pip, which tries versions backwards, takes minutes for. Where uv does not run, pip does it.
# The scripts of an environment name the folder that it was made in: in one that was moved or copied it is made anew.
ELSEWHERE := $(shell test -L .venv || test ! -e $(BIN)/coronet || head -n 3 $(BIN)/coronet | grep -qF '$(CURDIR)/$(BIN)/' || echo yes)
ifdef ELSEWHERE
.PHONY: $(INSTALLED)
endif

define install
	$(BIN)/uv pip install --quiet --python $(2) --compile-bytecode --constraint constraints.txt $(1) || \
	$(2)/bin/python -m pip install --quiet --constraint constraints.txt $(1)
endef

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("CoroNet needs Python 3.11 or newer; set PYTHON=..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(if $(ELSEWHERE),--clear) .venv
	-$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	$(call install,--editable '.',.venv)
	touch $@

$(INSTALLED_DEV): $(INSTALLED)
	$(call install,--editable '.[dev]',.venv)
	touch $@

$(INSTALLED_SBOM): $(INSTALLED) constraints.txt
	$(PYTHON) -m venv .venv/sbom
	$(call install,cyclonedx-bom,.venv/sbom)
	touch $@
