# Everything is installed into .venv, by pip, at the versions of constraints.txt; `make clean` takes
# it away. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt
# Node.js trusts what the machine trusts, as pip does; of npm one only hears when it fails.
NPM = PATH="$(CURDIR)/.venv-interop/bin:$$PATH" NODE_OPTIONS=--use-system-ca \
	npm --loglevel error --no-update-notifier --no-audit --no-fund

.PHONY: help demo lab test pytest check interop interop-big bench shots clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

demo: .venv/demo  ## load real data into a sandbox org: progress, failures by reason, a picture
	.venv/bin/bulknb demo

lab: .venv/dev  ## open the first notebook in JupyterLab
	.venv/bin/jupyter lab notebooks/01_first_look.ipynb

test: check  ## what continuous integration runs: check, all tests and notebooks, interop
	@$(MAKE) --no-print-directory --jobs 2 pytest interop

pytest: .venv/dev
	.venv/bin/python -m pytest --nbval-lax --ignore tests/browser
	.venv/bin/python -m pytest tests/browser

check: .venv/dev  ## lint, format and types
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

bench: .venv/demo .venv-interop/aio-sf  ## speed and memory, side by side with other clients
	.venv/bin/python benchmarks/sandbox_throughput.py
	.venv/bin/python benchmarks/job_frames.py
	.venv/bin/python benchmarks/history.py
	.venv/bin/python benchmarks/query_vs_peers.py --rounds 3
	.venv/bin/python benchmarks/load_vs_peers.py

interop: .venv/dev .venv-interop/clients  ## other people's clients, unchanged, against one sandbox
	BULKNB_INTEROP=1 .venv/bin/python -m pytest tests/interop -m 'not interop_big'

interop-big: .venv/dev .venv-interop/big  ## the same, and CumulusCI and the Salesforce CLI (500 MB)
	BULKNB_INTEROP=1 .venv/bin/python -m pytest tests/interop

shots: .venv/dev  ## pictures of panel, board and app, light, dark and narrow, in shots/
	.venv/bin/python tests/browser/shots.py shots

clean:  ## remove what the other targets made
	rm -rf .venv .venv-interop .hypothesis .mypy_cache .pytest_cache .ruff_cache build demo-output dist shots

.venv/demo: .venv/pip pyproject.toml
	$(PIP) --build-constraint constraints.txt --editable '.[demo]'
	@touch $@

.venv/dev: .venv/pip pyproject.toml
	$(PIP) --build-constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

# The clients live apart from what the project is pinned to, and bring a Node.js of their own.
.venv-interop/clients: $(addprefix tests/interop/,requirements.txt package.json package-lock.json)
	$(PYTHON) -m venv .venv-interop
	.venv-interop/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 \
	  --requirement tests/interop/requirements.txt
	mkdir -p .venv-interop/node && cp tests/interop/package*.json .venv-interop/node
	$(NPM) ci --prefix .venv-interop/node
	@touch $@

.venv-interop/big: .venv-interop/clients tests/interop/requirements-cumulusci.txt
	$(PYTHON) -m venv .venv-interop/cumulusci
	.venv-interop/cumulusci/bin/python -m pip install --quiet --disable-pip-version-check \
	  --use-pep517 --requirement tests/interop/requirements-cumulusci.txt
	$(NPM) install --prefix .venv-interop/sf @salesforce/cli@2.146.3
	@touch $@

# It brings its own pandas and pyarrow, which the others are not to see.
.venv-interop/aio-sf: .venv-interop/clients
	$(PYTHON) -m venv .venv-interop/aio-sf
	.venv-interop/aio-sf/bin/python -m pip install --quiet --disable-pip-version-check aio-sf==0.1.0b14

# The pip that comes with Python may be too old for --group and --build-constraint.
.venv/pip: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'bulknb needs Python 3.11 or newer: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo '$(PYTHON) cannot make virtual environments: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) pip
	@touch $@
