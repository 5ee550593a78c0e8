#!/usr/bin/env bash
# The client of Mini Programs: install what is pinned, check types, lint, build, test, and simulate phones.
#   miniprogram.sh          everything; the live tests and phones run against the service with the mini gateway
#   miniprogram.sh build    only miniprogram/client/dist and miniprogram_dist
# Seeds and seconds of the simulation: MODEL_SEEDS (1000, against a model of the service), LIVE_SEEDS (1000) within LIVE_SECONDS (90).
# Nothing is written outside the checkout: see .local/ and miniprogram/client/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
log="$root/.local/miniprogram/step.log"
mkdir -p .local/miniprogram/tmp
. scripts/dev/npm-project.sh
install_locked miniprogram/client .local/miniprogram/installed.json
cd miniprogram/client
step "types" node node_modules/typescript/bin/tsc
step "lint" node node_modules/eslint/bin/eslint.js .
step "build" node build.mjs
step "types of the build" node node_modules/typescript/bin/tsc -p tsconfig.build.json
[ "${1:-}" != build ] || exit 0

pinned_node
cd "$root"
[ -n "${LOCAL:-}" ] || step "the service" cargo build --workspace --locked --bin local
cd miniprogram/client
export LOCAL="${LOCAL:-$root/target/debug/local}" TMPDIR="$root/.local/miniprogram/tmp"
"$node" --test --test-timeout=180000 test/*.test.ts
"$node" sim/main.ts --model "${MODEL_SEEDS:-1000}"
"$node" sim/main.ts --live "${LIVE_SEEDS:-1000}" --seconds "${LIVE_SECONDS:-90}"
