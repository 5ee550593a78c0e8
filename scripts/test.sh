#!/usr/bin/env bash
# Everything: format, lints, Rust tests, the console in a browser, the journal's own tests, and service and journal against the real gateway.
# `test.sh --with-rehearsal` does what `make rehearse` does as well, beside the parts that wait.
# Every part runs, also after one has failed, and the last lines say what became of all, and how long each took.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rehearsal=
case "${1:-}" in
  '') ;;
  --with-rehearsal) rehearsal=1 ;;
  *) echo "test.sh: it knows no $1, only --with-rehearsal" >&2; exit 2 ;;
esac
scripts/need.sh cargo gcc npm python3 || exit 1
# A disk that fills up in the middle fails tests for reasons that they do not tell.
room=$({ du -sk target .local 2>/dev/null; df -Pk . | awk 'END { print $4 }'; } | awk '{ kib += $1 } END { print int(kib / 1048576) }')
echo "test.sh: target, .local and what is free are $room GiB"
[ "$room" -ge 9 ] || { echo "test.sh: a whole run takes 8 to 10 GiB; make room first" >&2; exit 1; }
node=.local/openclaw/bin/node
logs=.local/test
outcomes=$logs/outcomes
rm -rf "$logs"
mkdir -p "$logs"
: >"$outcomes"

outcome() { printf '%s\t%s\t%s\n' "$@" >>"$outcomes"; }
part() {
  local name="$1" began=$SECONDS became=passed
  shift
  printf '\n== %s\n' "$name"
  "$@" 2>&1 | tee "$logs/$name.part.log" || became=failed
  outcome "$became" "$((SECONDS - began))" "$name"
}
# Thousands of lines stand between a failure and the end of a run: what it said is said again there.
said() {
  printf '\n-- what "%s" said of its failure (all of it: %s)\n' "$1" "$logs/$1.part.log"
  grep -nE -A12 "^test .* FAILED|panicked at|overflowed its stack|^error|^failures:|^not ok|^✖| failed$|^locks:|^error\[|^- ST[0-9]+" "$logs/$1.part.log" | tail -n 120
}
skip() {
  printf '\n== %s\n   SKIPPED: %s\n' "$1" "$2"
  outcome skipped 0 "$1"
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

# A lane is a function whose parts run beside everything else, for what waits more than it computes. What it says is shown
# when it is joined. It gets a process group, so that ending it ends what it has started.
declare -A lanes=()
lane() {
  set -m
  "$1" >"$logs/$1.log" 2>&1 </dev/null &
  lanes[$1]=$!
  set +m
}
join() {
  local name began=$SECONDS
  for name in "$@"; do
    while kill -0 "${lanes[$name]}" 2>/dev/null; do
      sleep 1
      [ $(((SECONDS - began) % 60)) -ne 59 ] || echo "   the lane of $name goes on; its log is $logs/$name.log"
    done
    wait "${lanes[$name]}" || outcome failed 0 "the lane of $name"
    unset "lanes[$name]"
    cat "$logs/$name.log"
  done
}
end() { for job in "${lanes[@]}"; do kill -- "-$job" 2>/dev/null || true; done; }
trap 'end; exit 130' INT TERM

fetch() {
  part "install OpenClaw" scripts/install-openclaw.sh
  part "template" scripts/lint-template.sh
  part "deployment" scripts/test-deploy.sh
  if [ -n "$rehearsal" ]; then
    part "install what deploys" scripts/deploy-tools.sh --emulator
  else
    part "install the second engine" scripts/emulator.sh
  fi
}

# The same flows once more, on an engine that shares no code with the embedded ones. It keeps one state, so one by one;
# what counts or delays requests of the embedded engines, or takes thousands of them (a rotation under load, races, hundreds
# of random calls), stays with those, and so does what asks for no table at all.
second_engine() {
  part "Rust, second engine" scripts/on-second-engine.sh \
    cargo test --workspace --locked --test 'it-*' -- --test-threads=1 --skip crashes --skip cost --skip chaos --skip invariants --skip rotation \
    --skip approvals::faults --skip approvals::races --skip modes::stored --skip api::issuer --skip policy::
  part "console" scripts/console.sh
  part "Mini Program client" scripts/miniprogram.sh
  part "Mini Program sample" scripts/miniprogram-sample.sh
}

# The real gateway is one process with one ledger: its tests run apart, and one at a time.
real_gateway() {
  if [ ! -x "$node" ]; then
    skip "Rust, real gateway" "OpenClaw is not installed under .local"
  else
    part "Rust, real gateway" cargo test --workspace --locked --test gateway -- --test-threads=1 --show-output
  fi
  node_tests "journal, real gateway" openclaw-plugin/test/live/*.test.mjs
}

# Generated requests against `local run --dev`, a minute and a half.
contract() { part "contract" scripts/contract.sh; }

# Most of it is waiting for deployments, sweeps and checkpoints.
rehearse() { part "rehearsal" scripts/rehearse.sh; }

lane fetch
part "locks, licences, advisories" scripts/locks/check
part "format" cargo fmt --all --check
part "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
# All at once: no part that runs beside another has anything left to build.
part "build" cargo test --workspace --locked --no-run
join fetch
mapfile -t targets < <(cargo metadata --no-deps --locked --format-version 1 | python3 -c '
import json, sys
kinds = {(t["name"]) for p in json.load(sys.stdin)["packages"] for t in p["targets"] if t["kind"] == ["test"]}
print(*sorted(kinds), sep="\n")')
quick=(--lib --bins)
for target in "${targets[@]}"; do [ "$target" = gateway ] || quick+=(--test "$target"); done
lane real_gateway
[ -z "$rehearsal" ] || lane rehearse
part "Rust" cargo test --workspace --locked --no-fail-fast "${quick[@]}"
lane contract
lane second_engine
part "vectors, Python" python3 tests/vectors/test_vectors.py
part "Rust, documentation" cargo test --workspace --locked --doc
node_tests "scripts" scripts/*.test.mjs
node_tests "journal" openclaw-plugin/test/*.test.mjs
join second_engine real_gateway contract
[ -z "$rehearsal" ] || join rehearse

count() { cut -f1 "$outcomes" | grep -cx "$1"; }
names() { awk -F'\t' -v became="$1" '$1 == became { printf "%s%s", comma, $3; comma = ", " }' "$outcomes"; }
awk -F'\t' '$1 == "failed" { print $3 }' "$outcomes" | while read -r name; do
  [ ! -e "$logs/$name.part.log" ] || said "$name"
done
printf '\n%s\n' "----------------------------------------------------------------------"
awk -F'\t' '{ printf "%6d s  %s%s\n", $2, $3, $1 == "passed" ? "" : ": " toupper($1) }' "$outcomes"
printf '%6d s  in all, since some run side by side\n' "$SECONDS"
echo "passed:  $(count passed): $(names passed)"
[ "$(count skipped)" -eq 0 ] || echo "SKIPPED: $(count skipped): $(names skipped) -- THIS RUN IS NOT COMPLETE"
if [ "$(count failed)" -ne 0 ]; then
  echo "FAILED:  $(count failed): $(names failed)"
  exit 1
fi
[ "$(count skipped)" -ne 0 ] || echo "Everything ran and everything passed."
