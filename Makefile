# SPDX-License-Identifier: Apache-2.0
#
#   make run      builds skbpath and shows packets on their way; FILTER='icmp'
#                 follows yours instead of a demonstration
#   make test     runs all tests: unit, host, and real kernels in VMs
#   make help     lists the rest

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

export CGO_ENABLED := 1
# Debian's Go would not fetch by itself the one that go.mod asks for.
export GOTOOLCHAIN ?= auto
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
stamp := github.com/prometheus/common/version
LDFLAGS := -X $(stamp).Version=$(VERSION) -X $(stamp).Revision=$(REVISION)
static := -tags netgo,osusergo -ldflags '$(LDFLAGS) -linkmode external -extldflags -static'

sources := $(shell find cmd pkg -name '*.go' -o -name '*.[coh]') go.mod go.sum

.PHONY: help build run test test-unit test-host test-kernels test-backends soak fuzz bench bench-smp generate lint clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

build: bin/skbpath ## the static binary, bin/skbpath

bin/skbpath: $(sources)
	@test/require build
	go build $(static) -o $@ ./cmd/exporter 2> >(grep -v -e 'statically linked applications requires' -e ': in function ' >&2)

run: bin/skbpath ## build and run; a demonstration without FILTER
	@test/require run
	@if [ -z '$(FILTER)' ]; then exec test/demo/demo bin/skbpath; fi; \
	root=(); if ((EUID)) && command -v sudo >/dev/null; then root=(sudo --preserve-env); fi; \
	exec "$${root[@]}" bin/skbpath '$(FILTER)'

test: test-unit test-host test-kernels ## everything but the backends

test-unit: ## pure logic, no root needed
	@test/require build
	go test -race -timeout 5m ./cmd/... ./pkg/... ./test/dashboards ./test/hidden

test-host: bin/skbpath ## the binary on the running kernel, in network namespaces
	@test/require run
	go test -count=1 -timeout 5m -v ./test/host

test-kernels: bin/skbpath ## the binary on stock kernels in VMs
	@test/require vm
	go test -count=1 -timeout 70m ./test/vm/... ./test/kernels

PACKETS ?= 10000000
SOAK_KERNEL ?= 7

soak: bin/skbpath ## hours of mixed packets in a VM, for journeys that are those of two; PACKETS=10000000
	@test/require vm
	go test -count=1 -timeout 48h -v -run 'TestKernels/^$(SOAK_KERNEL)$$' ./test/kernels -parts stress -stress.packets $(PACKETS)

FUZZTIME ?= 1m

fuzz: ## every fuzz target for FUZZTIME=1m; test-unit runs their seeds
	@test/require build
	@for file in $$(grep -rlE '^func Fuzz' --include='*_test.go' pkg); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p' $$file); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
		done; \
	done

test-backends: bin/skbpath ## a real Jaeger, a real Prometheus, dashboards, rules, compose
	@test/require vm
	go test -C test/deploy -count=1 -timeout 20m .
	go test -count=1 -timeout 60m ./test/backends

bench: bin/skbpath ## instructions per packet, beside pwru
	@test/require vm
	go test -count=1 -timeout 60m -v -run TestCost ./test/bench

bench-smp: bin/skbpath ## the same loads by the clock, on two CPUs: noisy
	@test/require vm
	go test -count=1 -timeout 60m -v -run TestThroughput ./test/bench

generate: ## rebuild the eBPF objects
	@test/require generate
	go generate ./pkg/tracer/internal/probe

lint: ## linters, import rules, formatting
	@test/require lint
	test/lint

clean: ## remove what was built
	rm -rf bin
