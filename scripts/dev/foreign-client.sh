#!/usr/bin/env bash
# Has clients of WeChat that share no code with this service call the WeChat stub.
#   foreign-client.sh         wechatpy, which also reads the stub's pushed messages
#   foreign-client.sh --rust  the crates wechat-mp-*, which are built first, in under a minute
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ "${1:-}" = --rust ]; then
  export CARGO_TARGET_DIR=target/foreign-client NO_PROXY=127.0.0.1
  cargo build --locked --manifest-path tests/foreign-client/Cargo.toml
  umask 077
  secret=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
  mkdir -p .local/wechat
  printf %s "$secret" >.local/wechat/app-secret
  exec {ready}< <(exec target/debug/local wechat-stub --port 0 --app-id wx00000000000000de --app-secret-file .local/wechat/app-secret)
  trap 'kill $!' EXIT
  read -r -u "$ready" line
  line=${line#*Ready on }
  target/foreign-client/debug/foreign-client "${line%%,*}" wx00000000000000de "$secret"
  exit
fi
scripts/dev/venv.sh .local/wechat wechat
exec .local/wechat/bin/python -B scripts/dev/foreign_client.py
