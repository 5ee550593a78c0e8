#!/usr/bin/env bash
# The operator's page: install what is locked, check types, build, test.
#   console.sh          everything; the browser tests run against the real service
#   console.sh build    only console/dist
# Nothing is written outside the checkout: see .local/ and console/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
scripts/need.sh npm
export npm_config_cache="$root/.local/npm"
mkdir -p .local/console/tmp

# `step TEXT COMMAND...`: one line of output, and the whole of it when it fails.
step() {
  local text="$1" log="$root/.local/console/step.log"
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok   $text"
  else
    echo "FAIL $text"
    cat "$log"
    exit 1
  fi
}
unchanged() { [ -d console/node_modules ] && cmp -s console/package-lock.json .local/console/installed.json; }
install() { npm --prefix console ci --no-audit --no-fund && cp console/package-lock.json .local/console/installed.json; }

unchanged || step "install console/package-lock.json" install
cd console
step "types" node node_modules/typescript/bin/tsc --noEmit
step "build" node node_modules/vite/bin/vite.js build
[ "${1:-}" != build ] || exit 0

# The tests are TypeScript as it is written: that takes the Node that the gateway runs on, not the one on PATH.
node="$root/.local/openclaw/bin/node"
[ -x "$node" ] || step "install Node" "$root/scripts/install-openclaw.sh"
lines=(--test --test-reporter="$root/console/test/lines.mjs" --test-timeout=180000)
"$node" "${lines[@]}" test/unit/*.test.ts

cd "$root"
step "the service" cargo build --workspace --locked --example console-stand
cd console
# Browser and profiles go where everything else goes.
export TMPDIR="$root/.local/console/tmp" CONSOLE_STAND="$root/target/debug/examples/console-stand"
exec "$node" "${lines[@]}" --test-concurrency=1 test/browser/*.test.ts
