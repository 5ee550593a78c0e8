#!/usr/bin/env bash
# Installs SAM CLI and cargo-lambda, pinned, under .local/deploy; with --emulator also what the rehearsal deploys to.
# Does nothing when they are there. Own virtual environments, because they pin other versions of the same libraries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=.local/deploy
fail() { echo "deploy-tools: $*" >&2; exit 1; }
scripts/need.sh python3

# venv NAME PACKAGE==VERSION...
venv() {
  local name=$1 want
  shift
  want="$*"
  [ "$(cat "$dir/$name/installed" 2>/dev/null)" != "$want" ] || return 0
  echo "  installing $want ..."
  python3 -m venv "$dir/$name" >/dev/null || fail "python3 cannot make a virtual environment; install its venv module"
  "$dir/$name/bin/pip" install --quiet --disable-pip-version-check "$@" >"$dir/$name.log" 2>&1 ||
    { tail -n 5 "$dir/$name.log" >&2; fail "$want cannot be installed; read $dir/$name.log"; }
  echo "$want" >"$dir/$name/installed"
}

mkdir -p "$dir"
jobs=()
# ziglang links against a C library as old as Lambda's, and for the other architecture.
venv cargo-lambda cargo-lambda==1.9.2 ziglang==0.15.1 &
jobs+=($!)
venv sam aws-sam-cli==1.170.0 &
jobs+=($!)
if [ "${1:-}" = --emulator ]; then
  venv emulator ministack==1.5.33 aws-sam-translator==1.115.0 cryptography==50.0.2 &
  jobs+=($!)
fi
for job in "${jobs[@]}"; do wait "$job"; done
