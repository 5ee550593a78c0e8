#!/usr/bin/env bash
# need.sh PROGRAM...: one clear sentence for the first program that is missing.
set -euo pipefail

hint() {
  case "$1" in
    cargo) echo "install Rust from https://rustup.rs" ;;
    npm) echo "install Node.js with npm" ;;
    python3) echo "install Python 3" ;;
    gcc) echo "install a C compiler, build-essential on Debian and Ubuntu" ;;
    *) echo "install it" ;;
  esac
}

for program in "$@"; do
  command -v "$program" >/dev/null || { echo "make: $program is needed and not on PATH; $(hint "$program") first" >&2; exit 1; }
done
