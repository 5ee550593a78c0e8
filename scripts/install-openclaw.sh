#!/usr/bin/env bash
# Install the pinned Node and OpenClaw under .local/openclaw. Does nothing when they are there.
# Prints one clear sentence and exits non-zero when a download fails.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
DIR="$ROOT/.local/openclaw"
NODE_VERSION=24.21.0
OPENCLAW_VERSION=2026.9.6
NODE="$DIR/bin/node"
STAMP="$DIR/installed-$NODE_VERSION-$OPENCLAW_VERSION"
[ -f "$STAMP" ] && [ -x "$NODE" ] && exit 0

fail() { echo "install-openclaw: $*" >&2; exit 1; }
command -v npm >/dev/null || fail "npm is not on PATH; install Node.js with npm first"
mkdir -p "$DIR/bin" "$DIR/node" "$DIR/app"

# `step TEXT COMMAND...`: run quietly, say what is going on every 15 seconds, show the log only on failure.
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
npm_install() { npm --prefix "$1" install "$2" --no-audit --no-fund --no-save --loglevel=error; }

step "installing Node $NODE_VERSION" npm_install "$DIR/node" "node@$NODE_VERSION"
binary="$DIR/node/node_modules/node/bin/node"
if [ ! -x "$binary" ]; then
  # The package places its binary in an install script. Where scripts are switched off, take the platform package.
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=linux-x64 ;;
    Linux-aarch64) platform=linux-arm64 ;;
    Darwin-arm64) platform=darwin-arm64 ;;
    *) fail "no Node package is known for $(uname -s) $(uname -m)" ;;
  esac
  step "installing Node $NODE_VERSION for $platform" npm_install "$DIR/node" "node-$platform@$NODE_VERSION"
  binary="$DIR/node/node_modules/node-$platform/bin/node"
fi
[ -x "$binary" ] || fail "npm installed Node $NODE_VERSION but its binary is missing"
ln -sf "$binary" "$NODE"
export PATH="$DIR/bin:$PATH"
step "installing OpenClaw $OPENCLAW_VERSION (650 MB)" npm_install "$DIR/app" "openclaw@$OPENCLAW_VERSION"
[ -f "$DIR/app/node_modules/openclaw/openclaw.mjs" ] || fail "npm installed OpenClaw but openclaw.mjs is missing"
touch "$STAMP"
