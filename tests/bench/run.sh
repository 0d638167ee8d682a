#!/usr/bin/env bash
# Measures jobs a second of an optimised build, and the raw JetStream floor beside it.   ./tests/bench/run.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PORTBROKER_NATS_SERVER=${PORTBROKER_NATS_SERVER:-$(deploy/install/nats.sh)}
export PORTBROKER_NATS_SERVER
cargo build --locked --release -p portbroker -p tests --bin portbroker --bin bench
export PORTBROKER_BIN=${CARGO_TARGET_DIR:-target}/release/portbroker
exec "${CARGO_TARGET_DIR:-target}/release/bench" "$@"
