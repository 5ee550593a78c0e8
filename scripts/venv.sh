#!/usr/bin/env bash
# venv.sh FOLDER PACKAGE==VERSION...: a virtual environment with exactly these packages in it. Does nothing when it is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/need.sh python3
dir=$1
shift
want="$*"
fail() { echo "make: $*" >&2; exit 1; }
[ "$(cat "$dir/installed" 2>/dev/null)" != "$want" ] || exit 0
echo "  installing $want ..." >&2
mkdir -p "$dir"
python3 -m venv "$dir" >/dev/null || fail "python3 cannot make a virtual environment; install its venv module"
"$dir/bin/pip" install --quiet --disable-pip-version-check "$@" >"$dir/install.log" 2>&1 ||
  { tail -n 5 "$dir/install.log" >&2; fail "$want cannot be installed; read $dir/install.log"; }
echo "$want" >"$dir/installed"
