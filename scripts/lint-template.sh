#!/usr/bin/env bash
# lint-template.sh [--roles]: expands template.yaml for each stage with the SAM translator, runs cfn-lint over what comes out,
# and checks the functions' rights. With --roles it writes docs/roles.md; without, it checks that the page is still true.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "lint-template: $*" >&2; exit 1; }
scripts/need.sh python3
dir=.local/template-lint
want="aws-sam-translator==1.115.0 cfn-lint==1.58.0"
if [ "$(cat "$dir/installed" 2>/dev/null)" != "$want" ]; then
  python3 -m venv "$dir" >/dev/null || fail "python3 cannot make a virtual environment; install its venv module"
  # shellcheck disable=SC2086 # two packages
  "$dir/bin/pip" install --quiet --disable-pip-version-check $want || fail "$want cannot be installed"
  echo "$want" >"$dir/installed"
fi
exec "$dir/bin/python" scripts/lint_template.py "$@"
