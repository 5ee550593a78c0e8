#!/usr/bin/env bash
# Everything: format, lints, Rust tests, the console in a browser, the journal's own tests, and service and journal against the real gateway.
# Every part runs, also after one has failed, and the last line says what became of all.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/need.sh cargo gcc npm python3 || exit 1
node=.local/openclaw/bin/node
passed=() failed=() skipped=()

part() {
  local name="$1"
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then passed+=("$name"); else failed+=("$name"); fi
}
skip() {
  printf '\n== %s\n   SKIPPED: %s\n' "$1" "$2"
  skipped+=("$1")
}
node_tests() {
  local name="$1"
  shift
  if [ ! -x "$node" ]; then
    skip "$name" "Node is not installed under .local"
  elif [ ! -e "$1" ]; then
    skip "$name" "there are none"
  else
    part "$name" "$node" --test "$@"
  fi
}

part "install OpenClaw" scripts/install-openclaw.sh
part "format" cargo fmt --all --check
part "template" scripts/lint-template.sh
part "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
mapfile -t targets < <(cargo metadata --no-deps --locked --format-version 1 | python3 -c '
import json, sys
kinds = {(t["name"]) for p in json.load(sys.stdin)["packages"] for t in p["targets"] if t["kind"] == ["test"]}
print(*sorted(kinds), sep="\n")')
# The real gateway is one process with one ledger: its tests run apart, and one at a time.
quick=(--lib --bins)
gateway=
for target in "${targets[@]}"; do
  if [ "$target" = gateway ]; then gateway=1; elif [ -n "$target" ]; then quick+=(--test "$target"); fi
done
part "Rust" cargo test --workspace --locked "${quick[@]}"
# The same flows once more, on an engine that shares no code with the embedded ones. It keeps one state, so one by one;
# what counts or delays requests of the embedded engines, or takes thousands of them (a rotation under load, races, hundreds
# of random calls), stays with those, and so does what asks for no table at all.
part "Rust, second engine" scripts/on-second-engine.sh \
  cargo test --workspace --locked --test it -- --test-threads=1 --skip crashes --skip cost --skip chaos --skip invariants --skip rotation \
  --skip approvals::faults --skip approvals::races --skip modes::stored --skip operator::issuer --skip policy::
part "Rust, documentation" cargo test --workspace --locked --doc
part "console" scripts/console.sh
if [ -z "$gateway" ]; then
  skip "Rust, real gateway" "there is no test target named gateway"
elif [ ! -x "$node" ]; then
  skip "Rust, real gateway" "OpenClaw is not installed under .local"
else
  part "Rust, real gateway" cargo test --workspace --locked --test gateway -- --test-threads=1 --show-output
fi
node_tests "journal" openclaw-plugin/test/*.test.mjs
node_tests "journal, real gateway" openclaw-plugin/test/live/*.test.mjs

printf '\n%s\n' "----------------------------------------------------------------------"
echo "passed:  ${#passed[@]}: $(IFS=,; echo "${passed[*]-}")"
[ ${#skipped[@]} -eq 0 ] || echo "SKIPPED: ${#skipped[@]}: $(IFS=,; echo "${skipped[*]}") -- THIS RUN IS NOT COMPLETE"
if [ ${#failed[@]} -ne 0 ]; then
  echo "FAILED:  ${#failed[@]}: $(IFS=,; echo "${failed[*]}")"
  exit 1
fi
[ ${#skipped[@]} -ne 0 ] || echo "Everything ran and everything passed."
