#!/usr/bin/env bash
# Breaks the protocol on purpose, one way after the other, and sees the checker name each. Further arguments go to every run.
#   ./tests/chaos/mutants.sh          ./tests/chaos/mutants.sh --at-least-kills 20 --nodes 3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for mutant in ack_before_result claim_without_fence call_without_look claim_out_of_line; do
  status=0
  ./tests/chaos/run.sh --mutant "$mutant" --minutes 0.5 --at-least-kills 5 --kills-per-minute 30 --drain 20 --stories 1 "$@" || status=$?
  if [[ $status != 1 ]]; then
    echo "error: the mutant $mutant ended with status $status instead of 1" >&2
    exit 1
  fi
done
echo "every mutant was named"
