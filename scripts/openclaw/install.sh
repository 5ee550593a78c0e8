#!/usr/bin/env bash
# Install the locked Node and OpenClaw (scripts/locks/npm) under .local/openclaw. Does nothing when they are there.
# Prints one clear sentence and exits non-zero when a download fails.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
mkdir -p "$ROOT/.local/openclaw/bin"
# npm finds no lock file in a folder that is reached by a link, as `.local` of a second work tree is.
DIR="$(cd "$ROOT/.local/openclaw" && pwd -P)"
LOCKS="$ROOT/scripts/locks/npm"
NODE="$DIR/bin/node"
there() { cmp -s "$LOCKS/$1/package-lock.json" "$DIR/$2/package-lock.json"; }
there node node && there openclaw app && [ -x "$NODE" ] && exit 0

fail() { echo "install-openclaw: $*" >&2; exit 1; }
command -v npm >/dev/null || fail "npm is not on PATH; install Node.js with npm first"
new="$DIR/new.$$"
trap 'rm -rf "$new"' EXIT

# `step TEXT COMMAND...`: runs quietly, prints its progress every 15 seconds, shows the log only on failure.
step() {
  local text="$1" log; log="$DIR/install.log"; shift
  echo "  $text ..."
  "$@" >"$log" 2>&1 & local pid=$! seconds=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1; seconds=$((seconds + 1))
    [ $((seconds % 15)) -ne 0 ] || echo "  $text: $seconds s"
  done
  wait "$pid" || { tail -n 20 "$log" >&2; fail "$text failed; the lines above are from $log"; }
}
# `ci NAME`: exactly what the lock file names, each package compared with its digest. No package runs a script of its own
# during the installation, since such a script can download what no digest covers.
ci() {
  mkdir -p "$new/$1"
  cp "$LOCKS/$1/package.json" "$LOCKS/$1/package-lock.json" "$new/$1/"
  npm --prefix "$new/$1" ci --ignore-scripts --no-audit --no-fund --loglevel=error
}
# A gateway that runs meanwhile goes on: the files that it has not read yet are missing for an instant only.
replace() {
  rm -rf "${DIR:?}/$2.old"
  [ ! -e "$DIR/$2" ] || mv "$DIR/$2" "$DIR/$2.old"
  mv "$new/$1" "$DIR/$2"
  rm -rf "${DIR:?}/$2.old"
}

case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  *) fail "no Node package is locked for $(uname -s) $(uname -m)" ;;
esac
step "installing Node" ci node
[ -x "$new/node/node_modules/node-$platform/bin/node" ] || fail "npm installed Node for $platform but its binary is missing"
replace node node
ln -sf "$DIR/node/node_modules/node-$platform/bin/node" "$NODE"
export PATH="$DIR/bin:$PATH"
step "installing OpenClaw (650 MB)" ci openclaw
[ -f "$new/openclaw/node_modules/openclaw/openclaw.mjs" ] || fail "npm installed OpenClaw but openclaw.mjs is missing"
step "preparing OpenClaw" npm --prefix "$new/openclaw" rebuild openclaw --ignore-scripts=false --foreground-scripts --loglevel=error
replace openclaw app
