#!/usr/bin/env bash
# Prunes the same conversations with our pruner, LangChain's trim_messages and LiteLLM's trim_messages, on this machine in
# one run: what a call takes, and how many of the results a provider would refuse.   ./tests/bench/context.sh
# The libraries come from PyPI into .tools/trimmers; tiktoken's encodings are those in LiteLLM's package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

venv=.tools/trimmers
requirements=tests/bench/context/requirements.txt
if ! cmp --silent "$requirements" "$venv/requirements.txt"; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$venv/requirements.txt"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bench() { cargo bench --quiet --locked -p context --bench trim -- "$@"; }
bench write "$folder"
"$venv/bin/python" tests/bench/context/trimmers.py "$folder"
bench compare "$folder"
