# Everything a newcomer, a developer and CI type. `make` alone lists it.
# Needs python3 (3.11 or newer) and make; the rest is installed into .venv and .clients, locked with hashes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .clients
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PIP_INSTALL := -m pip install --quiet --no-input --only-binary :all: --require-hashes
PYTEST := $(BIN)/python -m pytest -q

PNPM := pnpm@10.34.8
YARN_CLASSIC := yarn@1.22.22
YARN_BERRY := @yarnpkg/cli-dist@4.18.1
NUGET := nuget-exe@5.8.0
NPM_INSTALL := npm install --no-save --no-audit --no-fund --no-update-notifier --loglevel=error

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- run --------------------------------------------------------------------------------------------------------

.PHONY: run
run: $(VENV)/.embedded ## the registry on 127.0.0.1:8080 with its own PostgreSQL and Valkey; data in .data
	@exec $(BIN)/artifact-keeper serve

# ---- look -------------------------------------------------------------------------------------------------------

.PHONY: check
check: $(VENV)/.dev ## style, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/yamllint --strict compose.yaml .yamllint.yaml

.PHONY: format
format: $(VENV)/.dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: settings
settings: $(VENV)/.dev ## write the table of settings and the setup of clients into README.md
	$(BIN)/python -m infrastructure.settings_help README.md
	$(BIN)/python -m api.readme README.md

# ---- test -------------------------------------------------------------------------------------------------------

.PHONY: test
test: unit integration ## all tests but those of the clients

.PHONY: unit
unit: $(VENV)/.dev ## tests of code alone: no servers, no network
	$(PYTEST) tests/unit tests/property -n $(JOBS) --dist loadfile --disable-socket --allow-unix-socket $(ARGS)

.PHONY: integration
integration: $(VENV)/.dev ## tests with real servers, which they start themselves
	$(PYTEST) tests/integration -n $$(($(JOBS) + $(JOBS) / 2)) --dist loadfile $(ARGS)

.PHONY: clients
clients: $(VENV)/.dev $(CLIENTS)/.ready ## tests that drive pip, uv, poetry, twine, npm, pnpm, yarn, cargo, curl, rclone and their kin
	$(PYTEST) tests/clients -n $(JOBS) --dist loadfile $(ARGS)

.PHONY: again
again: $(VENV)/.dev ## only the tests that failed last, one after the other
	$(PYTEST) tests --last-failed --last-failed-no-failures none -n 0 $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev $(CLIENTS)/.peers ## measure, side by side with pypiserver, devpi and verdaccio
	$(BIN)/python -m benchmarks $(ARGS)

# ---- keep -------------------------------------------------------------------------------------------------------

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: $(VENV)/.dev ## pin dependencies anew after a change in pyproject.toml (UPGRADE=1: to the newest)
	$(COMPILE) pyproject.toml requirements/build.in -o requirements/runtime.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra embedded -c requirements/runtime.txt -o requirements/embedded.txt
	$(COMPILE) pyproject.toml requirements/build.in --extra dev -c requirements/embedded.txt -o requirements/dev.txt
	$(COMPILE) requirements/clients.in -o requirements/clients.txt
	$(COMPILE) requirements/old-pip.in -o requirements/old-pip.txt
	$(COMPILE) requirements/peers.in -o requirements/peers.txt

.PHONY: clean
clean: ## remove what was installed and cached; never data
	rm -rf $(VENV) $(CLIENTS) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- how it is installed ----------------------------------------------------------------------------------------
# The stamps .venv/.embedded and .venv/.dev say what is installed there; each is made anew when its lock changes.

$(BIN)/python:
	@PYTHON="$(PYTHON)" sh requirements/venv.sh $(VENV)

$(VENV)/.embedded: requirements/embedded.txt pyproject.toml | $(BIN)/python
	@if [ ! $(VENV)/.dev -nt requirements/dev.txt ]; then \
		echo "installing what the registry needs (once)" && \
		$(BIN)/python $(PIP_INSTALL) -r requirements/embedded.txt && \
		$(MAKE) --no-print-directory project; \
	fi
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "installing what development needs (once)"
	@$(BIN)/python $(PIP_INSTALL) -r requirements/dev.txt
	@$(MAKE) --no-print-directory project
	@touch $@

.PHONY: project
project:
	@$(BIN)/python -m pip install --quiet --no-input --no-deps --no-build-isolation --editable .

# The programs that tests of clients drive, with the Debian package that has each.
DRIVEN := curl=curl wget=wget aria2c=aria2 rclone=rclone
DRIVEN += mvn=maven gradle=gradle java=default-jre-headless
DRIVEN += apt-get=apt dput=dput apt-file=apt-file
DRIVEN += go=golang-go
DRIVEN += nuget=nuget mono=mono-runtime
DRIVEN += skopeo=skopeo
DRIVEN += dnf=dnf zypper=zypper rpmbuild=rpm createrepo_c=createrepo-c gpg=gnupg gpgv=gpgv rpmkeys=rpm

$(CLIENTS)/.ready: requirements/clients.txt requirements/old-pip.txt Makefile
	@PYTHON="$(PYTHON)" sh requirements/venv.sh $(CLIENTS)/python
	$(CLIENTS)/python/bin/python $(PIP_INSTALL) -r requirements/clients.txt
	@if $(CLIENTS)/python/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then \
		$(CLIENTS)/python/bin/python -m pip download --quiet --no-deps --only-binary :all: --require-hashes \
			-r requirements/old-pip.txt -d $(CLIENTS)/old-pip; \
	fi
	@sh requirements/tools.sh $(DRIVEN)
	@sh requirements/node.sh
	$(NPM_INSTALL) --prefix $(CLIENTS)/pnpm $(PNPM)
	$(NPM_INSTALL) --prefix $(CLIENTS)/yarn $(YARN_CLASSIC)
	$(NPM_INSTALL) --prefix $(CLIENTS)/yarn-berry $(YARN_BERRY)
	$(NPM_INSTALL) --prefix $(CLIENTS)/nuget $(NUGET)
	@sh requirements/nuget.sh
	@mkdir -p $(CLIENTS)/bin
	@for name in pip uv poetry twine flit hatch pyproject-build; do ln -sf ../python/bin/$$name $(CLIENTS)/bin/$$name; done
	@ln -sf ../pnpm/node_modules/.bin/pnpm $(CLIENTS)/bin/pnpm
	@ln -sf ../yarn/node_modules/.bin/yarn $(CLIENTS)/bin/yarn
	@ln -sf ../yarn-berry/node_modules/.bin/yarn $(CLIENTS)/bin/yarn-berry
	@ln -sf "$$(command -v go)" $(CLIENTS)/bin/go
	@sh requirements/helm.sh $(CLIENTS)/bin
	@sh requirements/containers.sh $(CLIENTS)/bin
	@sh requirements/rust.sh $(CLIENTS)/bin
	@touch $@

$(CLIENTS)/.peers: requirements/peers.txt requirements/verdaccio.json Makefile
	@PYTHON="$(PYTHON)" sh requirements/venv.sh $(CLIENTS)/peers
	$(CLIENTS)/peers/bin/python -m pip install --quiet --no-input --require-hashes -r requirements/peers.txt
	@sh requirements/node.sh
	@sh requirements/measure.sh
	@mkdir -p $(CLIENTS)/verdaccio && cp requirements/verdaccio.json $(CLIENTS)/verdaccio/package.json
	$(NPM_INSTALL) --prefix $(CLIENTS)/verdaccio
	@touch $@
