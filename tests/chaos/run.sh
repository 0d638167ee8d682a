#!/usr/bin/env bash
# Runs PortBroker under load and faults and checks that nothing accepted was lost and nothing ended twice.
#   ./tests/chaos/run.sh --minutes 1 --seed 7 --nodes 3          ./tests/chaos/run.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ " $* " != *" --help "* && " $* " != *" -h "* ]]; then
  PORTBROKER_NATS_SERVER=${PORTBROKER_NATS_SERVER:-$(deploy/install/nats.sh)}
  export PORTBROKER_NATS_SERVER
  if [[ -z ${PORTBROKER_BIN:-} ]]; then
    cargo build --locked -p portbroker
  fi
fi
cargo build --locked -p tests --bin chaos
exec "${CARGO_TARGET_DIR:-target}/debug/chaos" "$@"
