#!/usr/bin/env bash
# Installs ministack, locked, under .local/emulator: the second engine of the tests, and the AWS of the rehearsal. It expands
# templates with the SAM translator beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec scripts/dev/venv.sh .local/emulator emulator
