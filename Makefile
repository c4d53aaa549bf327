# `make help` lists the targets. What they do is in xtask/: `cargo xtask help`.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spiderpool
export CARGO_TARGET_DIR ?= $(CACHE)/target

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test bench lint dist clean toolchain

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: toolchain ## see pods get addresses, and a policy of your own take over
	@cargo xtask prepare
	@cargo xtask dist
	@demo/run.sh "$(CARGO_TARGET_DIR)/dist"

test: toolchain ## everything that can be wrong: units, policies in the sandbox, namespaces, end to end
	@cargo xtask prepare
	@cargo xtask tools
	@cargo xtask dist --debug
	@cargo test --workspace --no-fail-fast
	@cargo xtask tidy
	@cargo xtask crds --check

bench: toolchain ## measure, and write docs/benchmarks.md
	@cargo xtask prepare
	@cargo xtask tools
	@cargo xtask dist
	@cargo bench --package spiderpool-tests

lint: toolchain ## format, compiler's and project's rules
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- --deny warnings
	@cargo xtask tidy
	@cargo xtask crds --check
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; \
	else echo "cargo-deny is not installed, licences and bans are not checked (cargo install cargo-deny --locked)" >&2; fi

dist: toolchain ## lay out an installation: bin/, policies/
	@cargo xtask prepare
	@cargo xtask dist

clean: ## remove what was built
	@cargo clean

# All else is installed or said by xtask; xtask itself needs these.
toolchain:
	@command -v cargo >/dev/null || { \
	  echo "cargo is missing: install Rust 1.95 or newer, see https://rustup.rs" >&2; exit 1; }
	@version=$$(cargo --version | cut -d' ' -f2); \
	printf '1.95.0\n%s\n' "$${version%%-*}" | sort -CV || { \
	  echo "cargo $$version is too old: install 1.95 or newer, for instance: rustup update stable" >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  echo "a C compiler is missing, which Rust links with: apt-get install gcc libc6-dev" >&2; exit 1; }
	@[ -f "$$(cc -print-file-name=libc.a)" ] || { \
	  echo "the C library for static programs is missing: apt-get install libc6-dev" >&2; exit 1; }
# Cargo tells changed files by their times, which say nothing when another checkout was built in between.
	@mkdir -p "$(CARGO_TARGET_DIR)"; built="$(CARGO_TARGET_DIR)/checkout"; \
	[ "$$(cat "$$built" 2>/dev/null)" = "$(CURDIR)" ] || { \
	  find . \( -name .git -o -path ./target \) -prune -o -type f -exec touch {} +; printf '%s' "$(CURDIR)" >"$$built"; }
