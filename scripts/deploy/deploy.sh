#!/usr/bin/env bash
# deploy.sh STAGE [Parameter=value...] [--built] [--check]: checks the template, builds, deploys, and waits until the
# service is ready, or says in one sentence why it is not. --built deploys what the last build left; --check only checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/deploy/tools.sh
# cargo-lambda asks the first python3 for its linker, zig; only its own environment has it.
export PATH="${CARGO_LAMBDA_BIN:-$PWD/.local/deploy/cargo-lambda/bin}:$PWD/.local/deploy/sam/bin:$PATH" SAM_CLI_TELEMETRY=0
exec .local/deploy/sam/bin/python -B scripts/deploy/deploy.py "$@"
