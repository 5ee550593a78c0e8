#!/usr/bin/env bash
# test-deploy.sh: the tests of what deploys and rolls back, against AWS in memory. Needs nothing but what lint-template.sh installs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/venv.sh .local/template-lint template-lint
exec .local/template-lint/bin/python -B -m unittest discover --start-directory scripts/deploy/tests "$@"
