#!/usr/bin/env bash
# rollback.sh STAGE [function[=version]...]: stops a canary that is running, or moves the alias `live` of each function back to
# the version that was live before. Takes seconds, builds nothing. The next deployment moves it forward again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/deploy/tools.sh
exec .local/deploy/sam/bin/python -B scripts/deploy/rollback.py "$@"
