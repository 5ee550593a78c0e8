#!/usr/bin/env bash
# The sample Mini Program: install what is pinned, check types, test its logic, its components, and its pages in Chromium
# against the service with the mini gateway.
#   miniprogram-sample.sh           everything
#   miniprogram-sample.sh quick     without the pages in Chromium
#   miniprogram-sample.sh pictures  everything, and a picture of each screen in .local/miniprogram/pictures
# Nothing is written outside the checkout: see .local/ and miniprogram/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
log="$root/.local/miniprogram/sample-step.log"
mkdir -p .local/miniprogram/tmp
. scripts/dev/npm-project.sh
sample=miniprogram/sample
# npm has copied the client as it was when it was installed.
client() { cp -r miniprogram/client/dist miniprogram/client/miniprogram_dist $sample/node_modules/openclaw-miniprogram-client/; }

step "the client" scripts/dev/miniprogram.sh build
install_locked $sample .local/miniprogram/sample-installed.json
step "the client in the sample" client
cd $sample
step "types" node node_modules/typescript/bin/tsc
step "types of the tests" node node_modules/typescript/bin/tsc -p test

pinned_node
export TMPDIR="$root/.local/miniprogram/tmp"
"$node" --import ./test/resolve.mjs --test test/unit/*.test.ts test/component/*.test.ts
[ "${1:-}" != quick ] || exit 0
[ "${1:-}" != pictures ] || { export SHOTS="$root/.local/miniprogram/pictures"; mkdir -p "$SHOTS"; }

cd "$root"
[ -n "${LOCAL:-}" ] || step "the service" cargo build --workspace --locked --bin local
cd $sample
export LOCAL="${LOCAL:-$root/target/debug/local}"
exec timeout 300 "$node" --import ./test/resolve.mjs --test --test-timeout=60000 test/browser/*.test.ts
