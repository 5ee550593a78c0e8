#!/usr/bin/env bash
# on-second-engine.sh COMMAND...: runs a command with SECOND_ENGINE_URL naming a second, independent table and queue engine
# (ministack, from PyPI), and stops the engine afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
dir=.local/emulator
fail() { echo "on-second-engine: $*" >&2; exit 1; }

scripts/dev/emulator.sh
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url="http://127.0.0.1:$port"
# The emulator's MQTT broker is not needed.
GATEWAY_PORT=$port IOT_MTLS_ENABLED=0 "$dir/bin/ministack" >"$dir/engine.log" 2>&1 &
engine=$!
trap 'kill "$engine" 2>/dev/null || true; wait "$engine" 2>/dev/null || true' EXIT
healthy() { python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=1)' "$url/_ministack/health" 2>/dev/null; }
for _ in $(seq 1 120); do
  healthy && break
  kill -0 "$engine" 2>/dev/null || { tail -n 5 "$dir/engine.log" >&2; fail "the engine does not start"; }
  sleep 0.5
done
healthy || fail "the engine does not answer"
SECOND_ENGINE_URL=$url "$@"
