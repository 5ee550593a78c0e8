#!/usr/bin/env bash
# Builds the workspace and, at the same time, installs OpenClaw: one waits for the processor, the other for the network.
# Says what is going on; shows a log only when something fails. `--without-openclaw` builds only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/need.sh cargo gcc
[ "${1:-}" = --without-openclaw ] || scripts/need.sh npm python3
mkdir -p .local
log=.local/build.log

install=
if [ "${1:-}" != --without-openclaw ]; then
  scripts/install-openclaw.sh &
  install=$!
fi
stop_all() { kill $install "${build:-}" 2>/dev/null || true; }
trap 'stop_all; exit 130' INT TERM

cargo build --workspace --locked >"$log" 2>&1 &
build=$!
seconds=0
while kill -0 "$build" 2>/dev/null; do
  sleep 1
  seconds=$((seconds + 1))
  [ "$seconds" -ne 3 ] || echo "  building (6 minutes the first time on two cores) ..."
  [ $((seconds % 15)) -ne 0 ] || echo "  building: $seconds s, $(grep -c Compiling "$log" || true) crates begun"
done
if ! wait "$build"; then
  tail -n 40 "$log" >&2
  stop_all
  echo "make: the build failed; the lines above are the end of $log" >&2
  exit 1
fi
[ -z "$install" ] || wait "$install"
