# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# What a contributor runs. Anything longer than a line or two stands in tests/tools.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Kept outside the checkout, so that a fresh clone finds it filled.
export CROSSMESH_CACHE ?= $(if $(filter 0,$(shell id -u)),/var/cache/crossmesh,$(HOME)/.cache/crossmesh)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Ansible insists on UTF-8.
export LC_ALL := C.UTF-8
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# Beside the lab of that name alone: who chooses another one has the machine for himself, or shares it.
ifeq ($(CROSSMESH_LAB)$(CROSSMESH_LAB_STATE),)
SECOND_LAB := CROSSMESH_LAB=lab2 CROSSMESH_LAB_OFFSET=$$(($${CROSSMESH_LAB_OFFSET:-0} + 10)) $(PYTHON) -m tests.lab
else
SECOND_LAB := : no second lab for
endif
LINTERS := ruff mypy shell yaml ansible sanity docs package publication reuse

.PHONY: help deps venv docs browser screenshots requirements demo test lint $(LINTERS:%=lint-%) unit attacks fuzz integration bench campaign ways matrix \
	matrix-sanity galaxy release-check package zlint promtool lab-build lab-up labs-up lab-down lab-status clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

deps:  ## install what is missing: Debian packages (as root), Python packages, Go
	@tests/tools/debian-packages
	@tests/tools/venv

venv:
	@tests/tools/venv

demo: deps lab-build lab-up  ## join two meshes on this machine and watch it work
	$(PYTHON) -m tests.demo

test: deps lint unit lab-build labs-up integration  ## everything that CI runs

lint: venv  ## all static checks; each also alone: lint-ruff, lint-mypy, ...
	$(MAKE) --keep-going --jobs $$(nproc) --output-sync=target $(LINTERS:%=lint-%)

lint-ruff: venv
	ruff check
	ruff format --check

# The collection under the name that Ansible gives it.
lint-mypy: venv
	mypy collections/ansible_collections/crossmesh/mtls/plugins extensions tests

lint-shell:
	git grep --untracked -lE '^#!.*\bbash$$' | xargs shellcheck

lint-yaml: venv
	yamllint --strict .

lint-ansible: venv
	ansible-lint --offline --profile production

lint-sanity: venv
	tests/tools/sanity

lint-docs: venv
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=dependent --skip-rstcheck .
	antsibull-changelog lint

lint-package: venv
	$(PYTHON) tests/tools/package.py

lint-publication: venv
	$(PYTHON) -m tests.tools.publication

lint-reuse: venv
	reuse lint --quiet || reuse lint

package: venv  ## build the package of the last commit, byte for byte the same everywhere
	@$(PYTHON) tests/tools/package.py --build .

# The linter of certificates, which unit tests ask too.
zlint: venv
	@$(PYTHON) -m tests.lab build-tool zlint

promtool: venv  ## what Prometheus itself says of our metrics and alarms; building it takes minutes, once a machine
	@$(PYTHON) -m tests.lab build-tool promtool
	$(PYTEST) tests/prometheus

unit: venv zlint  ## tests that need no lab
	$(PYTEST) --numprocesses auto -m 'not slow' tests/unit tests/attacks

attacks: venv zlint  ## every attack that needs no lab, the long ones too
	$(PYTEST) --numprocesses auto tests/attacks

fuzz: venv  ## foreign bytes for every parser, for twenty minutes; what fails is kept in tests/fuzz/corpus
	$(PYTHON) -m tests.fuzz

integration: deps zlint promtool  ## tests on the running lab, or on both
	$(PYTEST) --numprocesses auto --dist loadfile --max-worker-restart 0 -m 'not slow' tests/integration

bench: deps  ## measure the standing figures on the running lab; takes two hours
	$(PYTHON) -m tests.bench

campaign: deps  ## rotate under load with every fault, for hours, on the running lab
	$(PYTEST) -m slow --ignore tests/integration/test_other_programs.py tests/integration
	$(MAKE) ways
	$(PYTHON) -m tests.wire
	$(PYTHON) -m tests.hostile
	$(PYTHON) -m tests.store
	$(PYTHON) -m tests.campaign

ways: deps  ## other programs that run playbooks, ansible-navigator and ansible-rulebook among them, on the running lab
	@tests/tools/debian-packages tests/debian-packages-ways.txt
	CROSSMESH_WAYS=$$(tests/tools/make-venv ways "$${CROSSMESH_PYTHON:-python3.11}" tests/requirements-ways.txt) \
		$(PYTEST) -m slow tests/integration/test_other_programs.py

matrix: deps zlint  ## unit tests and one life of a link with every supported ansible-core, on the running lab
	$(PYTHON) -m tests.matrix

matrix-sanity: venv  ## ansible-test sanity of every supported ansible-core, without ignores
	$(PYTHON) -m tests.matrix --sanity

galaxy: venv  ## what Galaxy runs on a collection that is brought to it
	tests/tools/galaxy

# All that a release is held to and that takes long: `make test` has the rest.
release-check: matrix-sanity galaxy  ## build, bill of materials, signature, and what publishers run
	$(PYTHON) -m tests.release

lab-build: deps  ## build the lab's binaries, once a machine
	$(PYTHON) -m tests.lab build

lab-up: deps  ## start the lab: three clusters as plain processes
	$(PYTHON) -m tests.lab up

labs-up: lab-up  ## start a second lab beside it, so that the tests take less time
	$(SECOND_LAB) up

lab-down: venv  ## stop the lab, and the second one
	failed=0; $(SECOND_LAB) down || failed=1; $(PYTHON) -m tests.lab down && exit $$failed

lab-status: venv  ## say what of the lab runs, and of the second one
	@$(SECOND_LAB) status || true
	@$(PYTHON) -m tests.lab status

docs: venv  ## write the pages that are made of the code anew
	$(PYTHON) tests/tools/inventory_docs.py

browser: deps  ## the page of a report in Chromium, which this installs (as root)
	@tests/tools/debian-packages tests/browser/debian-packages.txt
	$(PYTEST) tests/browser

screenshots: deps  ## take the pictures under docs/pictures anew, in Chromium
	@tests/tools/debian-packages tests/browser/debian-packages.txt
	$(PYTHON) -m tests.browser.screenshots

requirements: venv  ## compile the Python pins anew
	tests/tools/compile-requirements

clean:  ## remove what was made in the checkout; the cache stays
	rm -rf .venv collections .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache tests/output *.tar.gz
	find . -name __pycache__ -prune -exec rm -rf {} +
