# Two commands: `make up` brings a platform up, `make test` passes the tests. Both say what they install.
.PHONY: up test unit engine engine-all bench bench-relay static prerequisites test-prerequisites

up: prerequisites
	cargo build --release
	./target/release/pupperware up $(ARGS)

# Everything: unit tests, golden plans, CLI snapshots, and the scenarios against a real engine.
test: test-prerequisites
	cargo test

# Without an engine: unit tests, golden plans, CLI snapshots.
unit:
	cargo test --lib --test cli --test plan --test relay --test bridge

# One scenario: make engine SCENARIO=name
engine: test-prerequisites
	cargo test --test engine -- --test-threads=1 $(SCENARIO)

# Every scenario, also those that are ignored: long ones, and ones that have not been seen to pass lately.
engine-all: test-prerequisites
	cargo test --test engine -- --include-ignored

# This program beside docker-compose v2: make bench ARGS="--rounds 5 --only start,noop"
bench: test-prerequisites
	cargo bench --bench platform -- $(ARGS)

# The Relay's limits: make bench-relay ARGS="--only race"
bench-relay:
	cargo bench --bench relay -- $(ARGS)

# The program for other machines, and for their relay images: it needs no library of theirs.
static:
	sh scripts/static

prerequisites:
	sh scripts/prerequisites

test-prerequisites:
	sh scripts/prerequisites test
