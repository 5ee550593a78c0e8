#!/usr/bin/env bash
# contract.sh [--cases N] [--as anonymous|user|operator]: holds the service against openapi.yaml with generated requests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -x .local/openclaw/bin/node ] || scripts/install-openclaw.sh
scripts/venv.sh .local/contract contract
exec .local/contract/bin/python -B scripts/contract/run.py "$@"
