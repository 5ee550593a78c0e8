#!/usr/bin/env bash
# lint-template.sh [--roles]: expands template.yaml for each stage with the SAM translator, runs cfn-lint over the result,
# and checks the functions' rights. With --roles it writes docs/operate/roles.md; without, it checks that the page is still true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/venv.sh .local/template-lint template-lint
exec .local/template-lint/bin/python scripts/deploy/lint_template.py "$@"
