#!/usr/bin/env bash
# venv.sh FOLDER NAME: a virtual environment with exactly what scripts/locks/python/NAME.txt names, each wheel compared with its
# digest. Does nothing when it is there, unless the checkout was moved: its programs name their interpreter by an absolute path.
# Only wheels: what builds a source archive is not in the lock file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/need.sh python3
dir=$1
lock=scripts/locks/python/$2.txt
fail() { echo "make: $*" >&2; exit 1; }
[ -f "$lock" ] || fail "there is no $lock"
interpreter=$(sed -n '1s/^#!//p' "$dir/bin/pip" 2>/dev/null || true)
! { cmp -s "$lock" "$dir/installed.txt" && [ -x "$interpreter" ]; } || exit 0
echo "  installing $lock ..." >&2
mkdir -p "$dir"
python3 -m venv --clear "$dir" >/dev/null || fail "python3 cannot make a virtual environment; install its venv module"
# The lock is the whole of it, so nothing is resolved; `check` says if something were missing.
install() {
  "$dir/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --requirement "$lock" &&
    "$dir/bin/pip" check
}
install >"$dir/install.log" 2>&1 || { tail -n 5 "$dir/install.log" >&2; fail "$lock cannot be installed; read $dir/install.log"; }
cp "$lock" "$dir/installed.txt"
