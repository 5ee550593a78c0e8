#!/usr/bin/env bash
# Builds `local` and, at the same time, installs OpenClaw: one waits for the processor, the other for the network.
# Prints its progress, and a log only after a failure. `--without-openclaw` builds only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/need.sh cargo gcc
[ "${1:-}" = --without-openclaw ] || scripts/dev/need.sh npm python3
mkdir -p .local
log=.local/build.log
install='' build=''

# Each job gets a process group, so that ending it ends what it has started.
set -m
end() { for job in $install $build; do kill -- "-$job" 2>/dev/null || true; done; }
trap 'end; exit 130' INT TERM

if [ "${1:-}" != --without-openclaw ]; then
  scripts/openclaw/install.sh &
  install=$!
fi
# `--workspace` keeps the features, and so the artefacts, of a build of everything.
cargo build --workspace --bin local --locked >"$log" 2>&1 &
build=$!

check_install() {
  if [ -n "$install" ] && ! kill -0 "$install" 2>/dev/null; then
    # The command has printed its own error.
    wait "$install" || { end; exit 1; }
    install=
  fi
}
first=''
[ -x target/debug/local ] || first=' (4 to 7 minutes the first time, on two cores)'
seconds=0
while kill -0 "$build" 2>/dev/null; do
  sleep 1
  seconds=$((seconds + 1))
  check_install
  [ "$seconds" -ne 3 ] || echo "  building$first ..."
  [ $((seconds % 15)) -ne 0 ] || echo "  building: $seconds s, $(grep -c Compiling "$log" || true) crates begun"
done
if ! wait "$build"; then
  tail -n 40 "$log" >&2
  end
  echo "make: the build failed; the lines above are the end of $log" >&2
  exit 1
fi
while [ -n "$install" ]; do
  sleep 0.2
  check_install
done
