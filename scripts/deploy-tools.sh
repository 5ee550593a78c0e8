#!/usr/bin/env bash
# Installs SAM CLI and cargo-lambda, pinned, under .local/deploy; with --emulator also what the rehearsal deploys to.
# Does nothing when they are there. Own virtual environments, because they pin other versions of the same libraries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# ziglang links against a C library as old as Lambda's, and for the other architecture.
scripts/venv.sh .local/deploy/cargo-lambda cargo-lambda==1.9.2 ziglang==0.15.1 &
jobs=($!)
scripts/venv.sh .local/deploy/sam aws-sam-cli==1.170.0 &
jobs+=($!)
if [ "${1:-}" = --emulator ]; then
  scripts/emulator.sh &
  jobs+=($!)
fi
for job in "${jobs[@]}"; do wait "$job"; done
