#!/usr/bin/env bash
# bench-node.sh: installs the TypeScript peer of bench/accept.py by its lock file under .local/bench/node, and bundles it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD log=$PWD/.local/bench/node.log
mkdir -p .local/bench/node
# npm finds no lock file in a folder that is reached by a link, as `.local` of a second work tree is.
dir=$(cd .local/bench/node && pwd -P)
cp scripts/locks/npm/bench/package.json scripts/locks/npm/bench/package-lock.json bench/peers/node/*.mjs "$dir"
. scripts/dev/npm-project.sh
install_locked "$dir" "$dir/installed.json"
step "bundle the TypeScript peer" "$dir/node_modules/.bin/esbuild" "$dir/bootstrap.mjs" --bundle --minify --platform=node --target=node24 \
  --format=esm --outfile="$dir/bundle.mjs" \
  --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
