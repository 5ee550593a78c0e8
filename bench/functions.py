#!/usr/bin/env python3
"""Measures the functions as they ship: zip, init, first and warm invocation, memory, CPU per accept.

    cargo lambda build --release --output-format zip      # cargo-lambda is on PyPI
    python3 bench/functions.py

Plays the Lambda runtime API on loopback and runs each bootstrap as a process, against `local engines` and the journal in
the small test gateway. Times are those of this machine; sizes and CPU per accept travel better. Prints one table.
"""
import json, statistics, subprocess

from runtime_api import Function, cpu_per_event
from service import ROOT, UNLIMITED, Engines, http_event, log_in, request_id, sample, unpack

RUNS, WARM, ACCEPTS, USERS = 10, 30, 300, 60


def function_of(name, env):
    return Function(name, [ROOT / "target/lambda" / name / "bootstrap"], env)


def row(name, sizes, inits, first, warm, function):
    print(f"| {name} | {sizes[1]:.1f} | {sizes[0]:.2f} | {statistics.median(inits):.1f} / {max(inits):.1f} | {first:.1f} "
          f"| {statistics.median(warm):.1f} | {function.rss_mb():.1f} |")


def measure(name, env, events):
    """`events` gives the n-th event; returns the last process, still running."""
    sizes, inits = unpack(name), []
    for _ in range(RUNS):
        function = function_of(name, env)
        inits.append(function.init_ms)
        function.stop()
    function = function_of(name, env)
    first = function.invoke(events(0))[1]
    warm = [function.invoke(events(n))[1] for n in range(1, WARM)]
    row(name, sizes, inits, first, warm, function)
    return function


def cpu(function, name, events, status):
    return f"| {name} | {cpu_per_event(function, [events(n) for n in range(ACCEPTS)], status) * 1e6:.0f} |"


def main():
    engines = Engines()
    env = engines.env | UNLIMITED
    gateway = subprocess.Popen(
        [ROOT / ".local/openclaw/bin/node", ROOT / "openclaw-plugin/test/mini-gateway.mjs", "--port", "18789", "--token",
         engines.secrets()["openclaw"]["tokens"][0], "--db", f"{engines.folder}/journal.db", "--ledger", f"{engines.folder}/ledger.jsonl"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    gateway.stdout.readline()
    try:
        print("| function | binary MB | zip MB | init p50 / max ms | first ms | warm ms | RSS MB |\n|---|---|---|---|---|---|---|")
        unpack("edge-auth")
        probe = function_of("edge-auth", env)
        # One user who submits everything would have an ever larger set of jobs in flight.
        sessions = [log_in(probe, f"bench-{n}") for n in range(USERS)]
        probe.stop()
        ids = []

        def session(n):
            return sessions[n % USERS]

        def submit(_):
            ids.append(request_id())
            return http_event("submit.json", session(len(ids) - 1)["token"], ids[-1])

        edge = measure("edge-auth", env, submit)

        def bad(n):
            event = http_event("submit.json", session(n)["token"], request_id())
            event["body"] = '{"tool":"ledger_append","arguments":{"note":7}}'
            return event

        costs = [cpu(edge, "no session: 401, nothing is asked", lambda _: http_event("submit.json", "x.y.z", ids[0]), 401),
                 cpu(edge, "bad arguments: 422, two table requests", bad, 422),
                 cpu(edge, "replay: 200, two table requests and one of the queue", lambda _: http_event("submit.json", session(0)["token"], ids[0]), 200),
                 cpu(edge, "accept: 202, four table requests and one of the queue", submit, 202)]
        edge.stop()

        def wake_up(n):
            event = sample("job.sqs.json")
            event["Records"][0]["body"] = json.dumps({"user_id": session(n)["user_id"], "request_id": ids[n]})
            return event

        measure("worker", env, wake_up).stop()
        status = measure("status", env, lambda n: http_event("get-job.json", session(n)["token"], ids[n]))
        done = json.loads(status.invoke(http_event("get-job.json", session(5)["token"], ids[5]))[0]["body"])["status"]
        status.stop()
        measure("sweep", env, lambda n: sample("sweep.json")).stop()
        with open(f"{engines.folder}/ledger.jsonl") as ledger:
            effects = sum(1 for _ in ledger)
        print("\n| edge-auth, CPU per request (user + system, runtime API included) | us |\n|---|---|")
        print("\n".join(costs))
        print(f"\nThe worker ran {WARM} jobs with {effects} effects; one of them is {done}.")
    finally:
        gateway.kill()
        gateway.wait()
        engines.stop()


main()
