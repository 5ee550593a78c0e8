#!/usr/bin/env bash
# The operator's page: install what is locked, check types, build, test.
#   console.sh          everything; the browser tests run against the real service
#   console.sh build    only console/dist
#   console.sh pictures draws docs/images/console-*.png again
# Nothing is written outside the checkout: see .local/ and console/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
log="$root/.local/console/step.log"
mkdir -p .local/console/tmp
. scripts/dev/npm-project.sh
install_locked console .local/console/installed.json
if [ "${1:-}" = pictures ]; then
  # Its font draws Chinese.
  step "the client" scripts/dev/miniprogram.sh build
  install_locked miniprogram/sample .local/miniprogram/sample-installed.json
fi
cd console
step "types" node node_modules/typescript/bin/tsc --noEmit
step "build" node node_modules/vite/bin/vite.js build
[ "${1:-}" != build ] || exit 0

pinned_node
lines=(--test --test-reporter="$root/console/test/lines.mjs" --test-timeout=180000)
[ "${1:-}" = pictures ] || "$node" "${lines[@]}" test/unit/*.test.ts

cd "$root"
step "the service" cargo build --workspace --locked --example console-stand
cd console
# Browser and profiles are stored under .local/, too.
export TMPDIR="$root/.local/console/tmp" CONSOLE_STAND="$root/target/debug/examples/console-stand"
[ "${1:-}" != pictures ] || exec "$node" test/pictures.ts
exec "$node" "${lines[@]}" --test-concurrency=1 test/browser/*.test.ts
