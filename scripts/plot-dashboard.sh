#!/usr/bin/env bash
# Draws docs/images/dashboard.png: the dashboard of template.yaml, of a run with one fault after the other. The test target
# `observe` makes the run and evaluates every widget by its own definition; matplotlib, locked, is installed under .local/plot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "plot-dashboard: $*" >&2; exit 1; }
scripts/need.sh cargo
scripts/venv.sh .local/plot plot
cargo test --workspace --quiet --test observe -- a_run_of_every_fault >.local/observe.log 2>&1 ||
  fail "the run failed; read .local/observe.log"
mkdir -p docs/images
.local/plot/bin/python -B scripts/plot-dashboard.py .local/observe/dashboard.json docs/images/dashboard.png
echo "docs/images/dashboard.png"
