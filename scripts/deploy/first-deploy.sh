#!/usr/bin/env bash
# first-deploy.sh STAGE [Parameter=value...] [--built] [--tool NAME] [--wechat-app-secret-file FILE] [--gateway-token-file FILE]:
# from a clone to a first answer of a deployed service. Run it again after a failure: it goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/deploy/tools.sh
# cargo-lambda asks the first python3 for its linker, zig; only its own environment has it.
export PATH="${CARGO_LAMBDA_BIN:-$PWD/.local/deploy/cargo-lambda/bin}:$PWD/.local/deploy/sam/bin:$PATH" SAM_CLI_TELEMETRY=0
exec .local/deploy/sam/bin/python -B scripts/deploy/first_deploy.py "$@"
