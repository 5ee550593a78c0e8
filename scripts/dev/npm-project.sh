# Sourced by the scripts that check a project of npm's: `step`, `install_locked` and `pinned_node`. The sourcing script stands
# in the checkout's root and has set `root` to it.
# Nothing is written outside the checkout: npm's cache is .local/npm.
scripts/dev/need.sh npm
export npm_config_cache="$root/.local/npm"

# `step TEXT COMMAND...`: one line of output, and the whole of it when it fails. `log` names the file that keeps it.
step() {
  local text="$1"
  shift
  if "$@" >"$log" 2>&1; then
    echo "ok   $text"
  else
    echo "FAIL $text"
    cat "$log"
    exit 1
  fi
}

npm_ci() { npm --prefix "$1" ci --no-audit --no-fund && cp "$1/package-lock.json" "$2"; }

# `install_locked FOLDER STAMP`: installs what the folder's lock names, unless the stamp says that it is there.
install_locked() {
  { [ -d "$1/node_modules" ] && cmp -s "$1/package-lock.json" "$2"; } ||
    step "install $1/package-lock.json" npm_ci "$1" "$2"
}

# Sets `node`: the tests are TypeScript as it is written, which takes the Node that the gateway runs on, not the one on PATH.
pinned_node() {
  node="$root/.local/openclaw/bin/node"
  [ -x "$node" ] || step "install Node" "$root/scripts/openclaw/install.sh"
}
