#!/usr/bin/env bash
# rollback.sh STAGE [function...]: moves the alias `live` of each function to the version published before the one it
# names. Takes seconds, builds nothing. The next deployment moves it forward again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/deploy-tools.sh
exec .local/deploy/sam/bin/python -B scripts/deploy/rollback.py "$@"
