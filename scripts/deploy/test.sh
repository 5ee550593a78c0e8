#!/usr/bin/env bash
# test.sh: the tests of scripts/deploy, against AWS in memory. Needs only what lint-template.sh installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/venv.sh .local/template-lint template-lint
exec .local/template-lint/bin/python -B -m unittest discover --start-directory scripts/deploy/tests "$@"
