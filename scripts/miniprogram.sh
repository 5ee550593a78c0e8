#!/usr/bin/env bash
# The client of Mini Programs: install what is pinned, check types, lint, build, test, and simulate phones.
#   miniprogram.sh          everything; the live tests and phones run against the service with the small gateway
#   miniprogram.sh build    only miniprogram/client/dist and miniprogram_dist
# Seeds and seconds of the simulation: MODEL_SEEDS (1000, against a model of the service), LIVE_SEEDS (1000) within LIVE_SECONDS (90).
# Nothing is written outside the checkout: see .local/ and miniprogram/client/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
scripts/need.sh npm
export npm_config_cache="$root/.local/npm"
mkdir -p .local/miniprogram/tmp

# `step TEXT COMMAND...`: one line of output, and the whole of it when it fails.
step() {
  local text="$1" log="$root/.local/miniprogram/step.log"
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok   $text"
  else
    echo "FAIL $text"
    cat "$log"
    exit 1
  fi
}
unchanged() { [ -d miniprogram/client/node_modules ] && cmp -s miniprogram/client/package-lock.json .local/miniprogram/installed.json; }
install() { npm --prefix miniprogram/client ci --no-audit --no-fund && cp miniprogram/client/package-lock.json .local/miniprogram/installed.json; }

unchanged || step "install miniprogram/client/package-lock.json" install
cd miniprogram/client
step "types" node node_modules/typescript/bin/tsc
step "lint" node node_modules/eslint/bin/eslint.js .
step "build" node build.mjs
step "types of the build" node node_modules/typescript/bin/tsc -p tsconfig.build.json
[ "${1:-}" != build ] || exit 0

# The tests are TypeScript as it is written: that takes the Node that the gateway runs on, not the one on PATH.
node="$root/.local/openclaw/bin/node"
[ -x "$node" ] || step "install Node" "$root/scripts/install-openclaw.sh"
cd "$root"
[ -n "${LOCAL:-}" ] || step "the service" cargo build --workspace --locked --bin local
cd miniprogram/client
export LOCAL="${LOCAL:-$root/target/debug/local}" TMPDIR="$root/.local/miniprogram/tmp"
"$node" --test --test-timeout=180000 test/*.test.ts
"$node" sim/main.ts --model "${MODEL_SEEDS:-1000}"
"$node" sim/main.ts --live "${LIVE_SEEDS:-1000}" --seconds "${LIVE_SECONDS:-90}"
