#!/usr/bin/env bash
# contract.sh [--cases N] [--as anonymous|user|operator]: holds the service against openapi.yaml with generated requests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -x .local/openclaw/bin/node ] || scripts/openclaw/install.sh
scripts/dev/venv.sh .local/contract contract
exec .local/contract/bin/python -B scripts/dev/contract/run.py "$@"
