# A short way into CMake, the set-up and the tests. `make` alone lists what there is.
PREFIX ?= /usr/local
DESTDIR ?=
export SLUICE_DEPS := $(shell tools/setup --where)
ifeq ($(SLUICE_DEPS),)
$(error tools/setup --where says nothing: is bash there, and HOME or SLUICE_CACHE set?)
endif

.DEFAULT_GOAL := help
.PHONY: help setup build demo test torture kill lambda lambda-image wheel image image-test parity local-aws spec bench clean install dev unit e2e tidy check-clang coverage requirements

help: ## this list
	@echo 'sluice: REST API -> Raw -> Prepare -> Refine. Targets:'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'What the distribution lacks is kept in $(SLUICE_DEPS) (SLUICE_CACHE moves it).'

setup: ## install and fetch everything that build, demo and tests need
	@tools/setup test

build: ## the programs, optimised, into build/release/bin
	@tools/setup build
	@tools/build release programs

demo: ## a year of flights from an API to curated tables, into demo/
	@tools/setup demo
	@tools/build release programs
	@tools/demo

test: ## build (optimised, and with sanitizers), then all tests
	@tools/setup test
	@test/run

spec: ## the models of the formats before SPIN, in large (minutes, up to 7 GB)
	@tools/setup test
	@test/spec/models large

bench: ## measure, beside the limit and the script by hand; PEERS=1 adds dlt, COVERAGE=1 branches
	@tools/setup $(if $(PEERS),peers,test)
	@tools/build release programs
	@tools/build release benches
	@tools/build dev programs
	@bench/run

install: ## programs, library and libduckdb under PREFIX=/usr/local (DESTDIR= is obeyed)
	@tools/build release programs
	@DESTDIR='$(DESTDIR)' cmake --install build/release --prefix '$(PREFIX)'

lambda: ## the zips of the Lambda function, for x86-64 and arm64, into build/lambda/; PIPELINES='folders'
	@tools/setup lambda
	@tools/lambda $(PIPELINES)

lambda-image: ## the function with the engine, as an image for Lambda, of the image sluice; PIPELINES='folders'
	@tools/image --lambda '$(PIPELINES)' $(ARGS)

wheel: ## the Python package sluice-spark with libsluice.so inside, for x86-64 and arm64, into build/wheel/
	@tools/setup lambda
	@tools/wheel

image: ## the Docker image, with DuckDB and PySpark; ARGS='--base debootstrap' where no base can be pulled (tools/image)
	@tools/image $(ARGS)

image-test: ## the demo inside the image, against the one here; ARGS=--quick
	@tools/setup demo
	@tools/build release programs
	@tools/image-test $(ARGS)

parity: ## the demo's models by DuckDB and by Spark: the same rows? After `make demo`; SPARK=4 asks Spark 4.0; ARGS='MODEL...'
	@tools/setup $(if $(filter 4,$(SPARK)),spark4,test)
	@tools/build release programs
	@SPARK='$(SPARK)' tools/parity $(ARGS)

local-aws: ## API, Lambda, S3, engine, tables on one laptop: in containers, else in processes; ARGS='--with processes --keep'
	@tools/setup s3
	@tools/build release programs
	@tools/local-aws $(ARGS)

kill: ## kill it 300 times, let rivals fight; SEED=, ROUNDS=, RACES=; ARGS=--json prints the figures as JSON
	@tools/setup test
	@tools/build release programs
	@tools/build dev
	@test/kill/run --seed $(or $(SEED),1) --rounds $(or $(ROUNDS),300) --races $(or $(RACES),40) $(ARGS)

clean: ## remove build/ and demo/ (not the cache folder)
	rm -rf build demo

dev: ## developers: everything with ASan and UBSan, into build/dev
	@tools/setup test
	@tools/build dev

unit: ## developers: unit tests only
	@tools/setup test
	@test/run unit

e2e: ## developers: end-to-end tests only; ARGS='-k name' goes to pytest
	@tools/setup test
	@test/run e2e $(ARGS)

torture: ## developers: each effect fails in turn, and the power is cut at each step: hours; ARGS='--seconds 600'
	@tools/setup test
	@tools/build release programs
	@tools/build dev
	@tools/build effects programs
	@SLUICE_DEV_BIN_DIR='$(CURDIR)/build/effects/bin' test/torture/torture $(ARGS)
	@SLUICE_DEV_BIN_DIR='$(CURDIR)/build/effects/bin' test/torture/torture --lake s3 $(ARGS)
	@test/torture/power $(ARGS)
	@test/torture/power --mutants

tidy: ## developers: the house rules only
	@test/tidy

check-clang: ## developers: does clang accept everything, too?
	@tools/setup test
	@tools/build clang

coverage: ## developers: which branches the tests take (gcov): minutes; fails where one of the commit path is left
	@tools/setup test
	@test/coverage

requirements: ## developers: pin the Python packages again, with hashes (needs uv)
	@for list in requirements requirements-peers requirements-lambda requirements-spark4; do \
		{ echo "# Written by \`make requirements\` from $$list.in: wheels for Python 3.11 to 3.13, amd64 and arm64."; \
		  uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			--no-emit-index-url --no-emit-find-links tools/$$list.in; } > tools/$$list.txt.new || exit 1; \
		mv tools/$$list.txt.new tools/$$list.txt; done
