#!/usr/bin/env bash
# Installs SAM CLI and cargo-lambda, locked, under .local/deploy; with --emulator also what the rehearsal deploys to.
# Does nothing when they are there. Own virtual environments, because they pin other versions of the same libraries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/venv.sh .local/deploy/cargo-lambda cargo-lambda &
jobs=($!)
scripts/dev/venv.sh .local/deploy/sam sam &
jobs+=($!)
if [ "${1:-}" = --emulator ]; then
  scripts/dev/emulator.sh &
  jobs+=($!)
fi
for job in "${jobs[@]}"; do wait "$job"; done
