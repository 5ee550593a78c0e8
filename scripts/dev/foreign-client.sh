#!/usr/bin/env bash
# Has wechatpy, a client of WeChat that shares no code with this service, call the WeChat stub and read its pushed messages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/venv.sh .local/wechat wechat
exec .local/wechat/bin/python -B scripts/dev/foreign_client.py
