#!/usr/bin/env bash
# The loop while you edit: format, lints, the unit tests of every crate, the layers, and the flows of a job through the front door.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts/dev/need.sh cargo gcc
# The flows run the real journal on a mini gateway, which takes the pinned Node.
[ -x .local/openclaw/bin/node ] || { scripts/dev/need.sh npm python3; scripts/openclaw/install.sh; }
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
cargo test --workspace --locked --lib --bins --test layers
cargo test --workspace --locked --test it-jobs -- flows::
