#!/usr/bin/env bash
# Everything: format, lints, Rust tests, the console in a browser, the journal's own tests, and service and journal against the real gateway.
# `test.sh --with-rehearsal` also does what `make rehearse` does, in parallel with the parts that mostly wait.
# Every part runs, also after one has failed, and the last lines have the result and the duration of each.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rehearsal=
case "${1:-}" in
  '') ;;
  --with-rehearsal) rehearsal=1 ;;
  *) echo "test.sh: it knows no $1, only --with-rehearsal" >&2; exit 2 ;;
esac
scripts/dev/need.sh cargo gcc npm python3 || exit 1
# On a full disk tests fail with misleading errors, so the free space is checked first.
room=$({ du -sk target .local 2>/dev/null; df -Pk . | awk 'END { print $4 }'; } | awk '{ kib += $1 } END { print int(kib / 1048576) }')
echo "test.sh: target, .local and what is free are $room GiB"
[ "$room" -ge 9 ] || { echo "test.sh: a whole run takes 8 to 10 GiB; make room first" >&2; exit 1; }
node=.local/openclaw/bin/node
logs=.local/test
outcomes=$logs/outcomes
rm -rf "$logs"
mkdir -p "$logs"
: >"$outcomes"

outcome() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$outcomes"; }
part() {
  local name="$1" began=$SECONDS became=passed TIMEFORMAT='%U %S' cpu="$logs/$1.cpu"
  shift
  printf '%q ' "$@" >"$logs/$name.command"
  printf '\n== %s\n' "$name"
  # The duration of a part depends on what runs in parallel, its processor time does not: both are printed.
  { time "$@" 2>&3; } 3>&1 2>"$cpu" | tee "$logs/$name.part.log" || became=failed
  outcome "$became" "$((SECONDS - began))" "$name" "$(awk '{ print int($1 + $2) }' "$cpu")"
}
# The output of failed parts is repeated at the end of the run.
said() {
  printf '\n-- what "%s" said of its failure (all of it: %s)\n' "$1" "$logs/$1.part.log"
  grep -nE -A12 "^test .* FAILED|panicked at|overflowed its stack|^error|^failures:|^not ok|^✖| failed$|^locks:|^error\[|^- ST[0-9]+" "$logs/$1.part.log" | tail -n 60 | cut -c1-400
}
skip() {
  printf '\n== %s\n   SKIPPED: %s\n' "$1" "$2"
  outcome skipped 0 "$1" 0
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

# Cargo ends the report of a crate that has warnings with their number. They stop no build, so that the tests run all the same.
no_warnings() {
  ! grep -nE '^warning: .* generated [0-9]+ warning' "$logs/build.part.log" || return 1
  echo "clippy and rustc have no warning"
}

# A lane is one function or several, one behind the other, whose parts run in parallel with everything else, because they mostly
# wait. It is named by the first. Its output is shown when it is joined. It gets a process group, so that ending it ends what it
# has started.
declare -A lanes=()
lane() {
  set -m
  for function in "$@"; do "$function"; done >"$logs/$1.log" 2>&1 </dev/null &
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
    wait "${lanes[$name]}" || outcome failed 0 "the lane of $name" 0
    unset "lanes[$name]"
    cat "$logs/$name.log"
  done
}
end() { for job in "${lanes[@]}"; do kill -- "-$job" 2>/dev/null || true; done; }
trap 'end; exit 130' INT TERM

# The tests speak plain HTTP on loopback, and each client that they make would parse the machine's 140 root certificates anew.
rust_tests=(env "SSL_CERT_FILE=$PWD/tests/fixtures/no-authority.pem" cargo test --workspace --locked)

# What needs Node and OpenClaw and nothing that is compiled here. It runs beside the build.
plugin() {
  part "install OpenClaw" scripts/openclaw/install.sh
  node_tests "scripts" scripts/openclaw/*.test.mjs
  node_tests "journal" openclaw-plugin/test/*.test.mjs
  node_tests "journal, real gateway" openclaw-plugin/test/live/*.test.mjs
}

fetch() {
  part "template" scripts/deploy/lint-template.sh
  part "deployment" scripts/deploy/test.sh
  if [ -n "$rehearsal" ]; then
    part "install what deploys" scripts/deploy/tools.sh --emulator
  else
    part "install the second engine" scripts/dev/emulator.sh
  fi
}

# The same flows again, on an engine that shares no code with the embedded ones. It has one state for all tests, so they run one by one. Left
# out are tests whose result cannot depend on the engine, and slow ones:
on_first_engine_only=(
  # restores files of the embedded table
  restores loaded_backups
  # counts, delays or breaks requests of the embedded engines, or makes thousands of them
  crashes cost duties chaos invariants rotation approvals::faults approvals::races modes::stored
  # tests the parsing of requests, metrics, secrets or tokens
  api::http api::issuer api::roles api::charts bad_input openapi policy text traces metrics secrets versions
  # makes the same table requests as other tests: messages and events of WeChat, modes, texts, steps, the bucket
  notifications login risk wechat_events content_safety approvals::service_mode modes::destructive modes::fault_watch
  api::approvals audit::checkpoints::bucket
  workflows::explained workflows::worker_deadlines workflows::worker_steps workflows::cancelled_question turns
  # tests the meaning of the gateway's responses, or the clock
  gateway_faults clock_jumps approvals::attacks approvals::changes workflows::accept workflows::refusals
)
second_engine() {
  local module skips=()
  for module in "${on_first_engine_only[@]}"; do skips+=(--skip "$module::"); done
  part "Rust, second engine" scripts/dev/on-second-engine.sh \
    "${rust_tests[@]}" --no-fail-fast --test 'it-*' -- --test-threads=1 "${skips[@]}"
}

# The clients in JavaScript, each with a browser or with simulated phones, which take a third of their usual time here. The sample
# builds the client, too, so these two run in turn.
console() { part "console" scripts/dev/console.sh; }
mini_program() {
  LIVE_SECONDS="${LIVE_SECONDS:-30}" part "Mini Program client" scripts/dev/miniprogram.sh
  part "Mini Program sample" scripts/dev/miniprogram-sample.sh
}

# The real gateway is one process with one ledger: its tests run apart, and one at a time. The supervisor's start gateways of their own.
on_real_gateway() {
  if [ ! -x "$node" ]; then
    skip "$1" "OpenClaw is not installed under .local"
  else
    part "$1" "${rust_tests[@]}" --test "$2" -- --test-threads=1 --show-output
  fi
}
real_gateway() { on_real_gateway "Rust, real gateway" gateway; }
supervisor() { on_real_gateway "Rust, supervisor" supervisor; }

# No load changes a count, so instructions are counted beside the other parts: half a minute of processor time.
instructions() {
  if scripts/dev/valgrind.sh --version; then
    part "instruction counts" python3 bench/paths.py
  else
    skip "instruction counts" "valgrind is not on PATH, and apt cannot fetch it"
  fi
}

# Generated requests against `local run --dev`, a minute and a half.
contract() {
  part "contract" scripts/dev/contract.sh
  instructions
}

# Most of the rehearsal is waiting for deployments, sweeps and checkpoints. It deploys what the tests have compiled.
rehearse() {
  [ -z "$rehearsal" ] || CARGO_LAMBDA_BIN="$PWD/scripts/rehearse/bin" part "rehearsal" scripts/rehearse/rehearse.sh
}

clippy="$(rustc --print sysroot)/bin/clippy-driver"
[ -x "$clippy" ] || { echo "test.sh: there is no clippy; rustup component add clippy" >&2; exit 1; }
lane plugin
lane fetch
part "locks, licences, advisories" scripts/locks/check
part "format" cargo fmt --all --check
# All at once: no part that runs beside another has anything left to build. The driver of clippy compiles the workspace's own
# crates and says its lints on the way, so that the dependencies are compiled once and not a second time for the lints alone.
export RUSTC_WORKSPACE_WRAPPER="$clippy"
part "build" cargo test --workspace --locked --no-run
part "lints" no_warnings
join fetch
# It is there by now, unless the registry was slow. What cannot be installed is skipped, and the last lines say so.
scripts/openclaw/install.sh || true
mapfile -t targets < <(cargo metadata --no-deps --locked --format-version 1 | python3 -c '
import json, sys
kinds = {(t["name"]) for p in json.load(sys.stdin)["packages"] for t in p["targets"] if t["kind"] == ["test"]}
print(*sorted(kinds), sep="\n")')
quick=(--lib --bins)
for target in "${targets[@]}"; do [[ " gateway supervisor " == *" $target "* ]] || quick+=(--test "$target"); done
lane real_gateway
lane rehearse supervisor
lane second_engine contract mini_program
part "Rust" "${rust_tests[@]}" --no-fail-fast "${quick[@]}"
lane console
part "vectors, Python" python3 tests/vectors/test_vectors.py
part "WeChat stub, foreign client" scripts/dev/foreign-client.sh
part "Rust, documentation" cargo test --workspace --locked --doc
join plugin second_engine real_gateway rehearse console

# A real gateway and a browser miss time limits on a busy machine. What failed in parallel with the rest is run once more, alone. Passing
# then, it is no failure, but the last lines say so: a test that is named there again and again has a fault.
in_parallel=("Rust" "Rust, real gateway" "Rust, supervisor" "scripts" "journal" "journal, real gateway" "Rust, second engine" "contract"
  "console" "Mini Program client" "Mini Program sample")
failed_names() { awk -F'\t' '$1 == "failed" { print $3 }' "$outcomes"; }
# How many tests cargo says have passed or failed in a part.
sum() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$logs/$2.part.log" | awk '{ n += $1 } END { print n + 0 }'; }
once_more() {
  local name="$1" command tests
  command=$(<"$logs/$name.command")
  if [[ $command == *cargo* ]]; then
    mapfile -t tests < <(sed -nE 's/^test (.*) \.\.\. FAILED$/\1/p' "$logs/$name.part.log" | sed 's/ - should panic$//')
    # Nothing compiled, a program was killed, a name was not printed on its line, or so much failed that it is not the machine.
    [ "${#tests[@]}" -gt 0 ] && [ "${#tests[@]}" -le 8 ] && [ "${#tests[@]}" -eq "$(sum failed "$name")" ] || return 0
    ! grep -q 'signal: ' "$logs/$name.part.log" || return 0
    [[ $command == *" -- "* ]] || command+="-- "
    command+="--exact $(printf '%q ' "${tests[@]}")"
  fi
  part "$name, once more" bash -c "$command"
  [[ $command != *cargo* ]] || [ "$(sum passed "$name, once more")" -ge "${#tests[@]}" ] || return 0
  if [ "$(tail -n 1 "$outcomes" | cut -f1)" = passed ]; then
    awk -F'\t' -v OFS='\t' -v name="$name" '$3 == name { $1 = "unstable" } { print }' "$outcomes" >"$outcomes.new"
    mv "$outcomes.new" "$outcomes"
  fi
}
for name in "${in_parallel[@]}"; do
  if failed_names | grep -Fxq "$name"; then once_more "$name"; fi
done

count() { cut -f1 "$outcomes" | grep -cx "$1"; }
names() { awk -F'\t' -v became="$1" '$1 == became { printf "%s%s", comma, $3; comma = ", " }' "$outcomes"; }
awk -F'\t' '$1 == "failed" || $1 == "unstable" { print $3 }' "$outcomes" | while read -r name; do
  [ ! -e "$logs/$name.part.log" ] || said "$name"
done
printf '\n%s\n' "----------------------------------------------------------------------"
awk -F'\t' '{ printf "%6d s %6d s of CPU  %s%s\n", $2, $4, $3, $1 == "passed" ? "" : ": " toupper($1) }' "$outcomes"
printf '%6d s  in all, since some run side by side\n' "$SECONDS"
echo "passed:  $(count passed): $(names passed)"
[ "$(count unstable)" -eq 0 ] || echo "UNSTABLE: $(count unstable): $(names unstable) -- FAILED IN PARALLEL WITH THE REST, PASSED ALONE"
[ "$(count skipped)" -eq 0 ] || echo "SKIPPED: $(count skipped): $(names skipped) -- THIS RUN IS NOT COMPLETE"
if [ "$(count failed)" -ne 0 ]; then
  echo "FAILED:  $(count failed): $(names failed)"
  exit 1
fi
[ "${SOAK:-}" = 1 ] || echo "Fault sweeps took a sample of their cases, which changes each day; make soak takes all."
[ "$(count skipped)" -ne 0 ] || [ "$(count unstable)" -ne 0 ] || echo "Everything ran and everything passed."
