#!/usr/bin/env bash
# rehearse.sh [drill]: the whole life of a deployment on this machine, against an emulator of AWS; with `drill` only what
# the restore of a backup needs. docs/operate/rehearsal.md says what it shows, and what no emulator can show.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/need.sh cargo gcc make npm python3
started=$(date +%s)
# Node and OpenClaw, SAM CLI, cargo-lambda and the emulator, and the program `local`: all of it below .local and target.
scripts/deploy/tools.sh --emulator
scripts/dev/prepare.sh
export REHEARSAL_PREPARED_S=$(($(date +%s) - started))
exec .local/deploy/sam/bin/python -B scripts/rehearse/main.py "$@"
