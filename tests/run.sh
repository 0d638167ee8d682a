#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every test. Arguments replace `--workspace` in `cargo test`, for example
#   ./tests/run.sh -p tests kill_worker        PORTBROKER_TEST_LONG=1 ./tests/run.sh -p tests malformed
# With --coverage first, the lines covered are reported at the end, those of the started processes included
# (cargo install --locked cargo-llvm-cov).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# debian PACKAGE...: installs from Debian's own packages.
debian() {
  if ! command -v apt-get >/dev/null; then
    echo "error: please install what Debian calls: $*" >&2
    exit 1
  fi
  echo "installing $*"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

has_postgres() {
  command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

has_faketime() {
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || [[ -n ${PORTBROKER_LIBFAKETIME:-} ]]
}

has_prometheus() {
  command -v promtool >/dev/null && command -v prometheus-alertmanager >/dev/null && command -v amtool >/dev/null
}

# The virtual environment with the official SDKs, made anew when their list changes.
python_environment() {
  local list=tests/clients/requirements.txt
  if cmp -s "$list" .venv/requirements.txt; then
    return
  fi
  echo "installing the official SDKs into .venv"
  rm -rf .venv
  if ! python3 -m venv .venv >/dev/null 2>&1; then
    debian python3-venv
    python3 -m venv .venv
  fi
  PIP_ROOT_USER_ACTION=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$list"
  cp "$list" .venv/requirements.txt
}

PORTBROKER_NATS_SERVER=$(deploy/install/nats.sh)
export PORTBROKER_NATS_SERVER
command -v redis-server >/dev/null || debian redis-server
has_postgres || debian postgresql
has_faketime || debian libfaketime
has_prometheus || debian prometheus prometheus-alertmanager
python_environment

coverage=false
if [[ ${1:-} == --coverage ]]; then
  coverage=true
  shift
  export CARGO_TARGET_DIR=$PWD/target/coverage
  # shellcheck disable=SC1090
  source <(cargo llvm-cov show-env --sh)
  cargo llvm-cov clean --workspace
fi

# Each test of tests/it starts several processes: more at once would only wait for each other.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
cargo build --locked --workspace --bins
[[ $# -gt 0 ]] || set -- --workspace
cargo test --locked "$@"
if [[ $coverage == true ]]; then
  cargo llvm-cov report --summary-only --ignore-filename-regex 'tests/|/tests\.rs$|/registry/'
fi
