#!/usr/bin/env bash
# Builds and starts PortBroker on this machine, sends it a chat job and shows the answer.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: ./deploy/run.sh [--once] [--release] [--help]

Installs nats-server into .tools/ if there is none, builds, starts every role in one process, submits a chat job,
prints its result and the queue's status, and stays until Ctrl-C. Jobs are kept in ./data for the next start.

  --once      stop after the result
  --release   build with optimisation: a longer build, a faster server

Settings come from the environment, for example
  PORTBROKER_INGRESS__LISTEN=127.0.0.1:9090 ./deploy/run.sh
  PORTBROKER_PROVIDERS__FILE=providers.toml PORTBROKER_MODEL=gpt-5 ./deploy/run.sh
With API keys configured, put one into PORTBROKER_KEY.
TEXT
}

once=false
profile=debug
for argument in "$@"; do
  case $argument in
    --once) once=true ;;
    --release) profile=release ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
  esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
for program in cargo python3; do
  if ! command -v "$program" >/dev/null; then
    echo "error: $program is not on PATH: this needs Rust (rustup) and Python 3" >&2
    exit 1
  fi
done

address=${PORTBROKER_INGRESS__LISTEN:-127.0.0.1:8080}
data=${PORTBROKER_DATA_DIR:-./data}
model=${PORTBROKER_MODEL:-echo}
log=$data/portbroker.log
export PORTBROKER_NATS__SERVER_PROGRAM=${PORTBROKER_NATS__SERVER_PROGRAM:-$(deploy/install/nats.sh)}

# http METHOD PATH [BODY]: prints the answer's body; fails on an error status. Python, since curl may be missing.
http() {
  python3 - "$address" "$@" <<'PYTHON'
import os, sys, urllib.error, urllib.request
address, method, path, body = (sys.argv[1:] + [""])[:4]
request = urllib.request.Request(f"http://{address}{path}", data=body.encode() or None, method=method)
request.add_header("content-type", "application/json")
request.add_header("prefer", "wait=30")
if os.environ.get("PORTBROKER_KEY"):
    request.add_header("authorization", "Bearer " + os.environ["PORTBROKER_KEY"])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    print(opener.open(request, timeout=60).read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
except OSError as error:
    sys.exit(f"{method} {path}: {error}")
PYTHON
}

# field NAME...: one value out of the JSON on standard input.
field() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda value, name: value[name], sys.argv[1:], json.load(sys.stdin)))' "$@"
}

server=
stop() {
  trap - EXIT INT TERM HUP
  if [[ -n $server ]] && kill -0 "$server" 2>/dev/null; then
    echo "stopping"
    kill -TERM "$server"
    wait "$server" || echo "portbroker ended with status $?; see $log" >&2
  fi
}

echo "building"
options=(--quiet --locked --package portbroker)
[[ $profile == release ]] && options+=(--release)
cargo build "${options[@]}"

mkdir -p "$data"
trap stop EXIT
trap 'stop; exit 0' INT TERM HUP
# Job control gives the server a process group of its own: Ctrl-C reaches this script alone, which then stops it once.
set -m
"${CARGO_TARGET_DIR:-target}/$profile/portbroker" all </dev/null >>"$log" 2>&1 &
server=$!
set +m

echo "starting on http://$address, log in $log"
for _ in $(seq 300); do
  http GET /health/ready >/dev/null 2>&1 && ready=true && break
  if ! kill -0 "$server" 2>/dev/null; then
    echo "error: portbroker ended; the end of its log:" >&2
    tail -n 20 "$log" >&2
    exit 1
  fi
  sleep 0.2
done
if [[ ${ready:-false} == false ]]; then
  echo "error: not ready within a minute; the end of the log:" >&2
  tail -n 20 "$log" >&2
  exit 1
fi

earlier=$(http GET '/v1/jobs?limit=3' | python3 -c 'import json, sys
for job in json.load(sys.stdin)["data"]: print(" ", job["id"], job["status"], job["created_at"])')
[[ -n $earlier ]] && printf 'jobs of earlier starts, newest first\n%s\n' "$earlier"

body='{"model": "'$model'", "messages": [{"role": "user", "content": "Hello, PortBroker!"}]}'
id=$(http POST /v1/jobs "$body" | field id)
echo "submitted $id"
job=$(http GET "/v1/jobs/$id")
echo "$job" | python3 -m json.tool
if [[ $(echo "$job" | field status) != completed ]]; then
  echo "error: the job did not complete" >&2
  exit 1
fi
echo "queue"
http GET /health/queue/status | python3 -m json.tool
[[ $once == true ]] && exit 0

key=${PORTBROKER_KEY:+ -H \"authorization: Bearer \$PORTBROKER_KEY\"}
cat <<TEXT

Try it yourself:
  curl -s http://$address/v1/chat/completions -H 'content-type: application/json'$key -d '$body'

Ctrl-C stops it.
TEXT
if ! wait "$server"; then
  echo "error: portbroker ended; the end of its log:" >&2
  tail -n 20 "$log" >&2
  exit 1
fi
