#!/usr/bin/env python3
"""Measures what grows with the number of stored jobs.

    cargo test --workspace --locked --no-run              # or any other build of the functions and of `local`
    python3 bench/growth.py --jobs 1000,100000 --programs target/debug

Runs two jobs and a turn through the functions, copies them (bench/stored.py), and then asks the functions as Lambda would: accept,
poll, list, a job's audit chain, sweep, and a turn of a conversation that had 10,000. Half of the jobs belong to eight users, whose
requests are measured; every other user has fifty. Requests and units say whether something grows; times are those of this machine.
"""
import argparse, json, os, pathlib, shutil, statistics, subprocess, sys, time, uuid

import stored
from runtime_api import Function, cpu_seconds, memory_mb
from service import ROOT, UNLIMITED, Engines, http_event, log_in, request_id, sample

HEAVY, OF_OTHERS, TURNS, WARM, TIMED, COUNTED, TALKED = 8, 50, 10_000, 10, 80, 16, 7
# A debug build verifies 200 chains a second.
EVERYTHING_AT_MOST = 20_000
CONVERSATION = "long"


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class Bench:
    """Engines over one data directory, and the functions."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        began = time.perf_counter()
        self.engines = Engines(folder, programs / "local")
        self.ready_s = time.perf_counter() - began
        self.env = self.engines.env | UNLIMITED

    def function(self, name, env=None):
        return Function(name, [self.programs / name], env or self.env)

    def stop(self):
        self.engines.stop()


def submission(token, identity, body):
    event = http_event("submit.json", token, identity)
    event["body"] = json.dumps(body)
    return event


def wake_up(user, identity):
    event = sample("job.sqs.json")
    event["Records"][0]["body"] = json.dumps({"user_id": user, "request_id": identity})
    return event


def get(path, route, token, identity=None):
    event = http_event("get-job.json", token, identity or request_id())
    event["rawQueryString"] = ""
    event.pop("queryStringParameters")
    event["rawPath"], event["routeKey"] = path, f"GET {route}"
    event["requestContext"]["routeKey"] = event["routeKey"]
    event["requestContext"]["http"]["path"] = path
    if identity is None:
        event.pop("pathParameters")
    return event


def expect(answer, status):
    if not isinstance(answer, dict) or answer.get("statusCode") != status:
        sys.exit(f"an event should have been answered with {status}: {answer}")
    return answer


def run_job(edge, worker, status, session, body):
    """Submits, and wakes the worker until the job has ended: its id, and the milliseconds that edge-auth and worker took."""
    identity = request_id()
    answer, took = edge.invoke(submission(session["token"], identity, body))
    expect(answer, 202)
    for _ in range(5):
        took += worker.invoke(wake_up(session["user_id"], identity))[1]
        answer = expect(status.invoke(get(f"/v1/jobs/{identity}", "/v1/jobs/{request_id}", session["token"], identity))[0], 200)
        if json.loads(answer["body"])["status"] == "succeeded":
            return identity, took
        # A turn is due again after five seconds. An earlier wake-up would find nothing to do.
        time.sleep(6)
    sys.exit(f"the job does not end: {answer}")


class Gateway:
    """The journal in the small gateway of the tests."""

    def __init__(self, folder, token):
        self.folder = pathlib.Path(folder)
        command = [ROOT / ".local/openclaw/bin/node", ROOT / "openclaw-plugin/test/mini-gateway.mjs", "--port", "18789", "--token", token,
                   "--db", self.folder / "journal.db", "--ledger", self.folder / "ledger.jsonl"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def stop(self):
        self.process.kill()
        self.process.wait()


CALLS = [{"tool": "ledger_append", "arguments": {"note": "two coffees"}}, {"tool": "ledger_read", "arguments": {}}]
TURN = {"message": "[[say:done]]", "conversation": CONVERSATION}


def prepare(programs, folder):
    """A table with the users whose requests are measured, two jobs and a turn. Their sessions and the ids."""
    bench = Bench(programs, folder)
    gateway = Gateway(folder, bench.engines.secrets()["openclaw"]["tokens"][0])
    try:
        edge, worker, status = (bench.function(name) for name in ("edge-auth", "worker", "status"))
        sessions = [log_in(edge, f"heavy-{n}") for n in range(HEAVY)]
        ids = [run_job(edge, worker, status, sessions[0], body)[0] for body in (*CALLS, TURN)]
        for function in (edge, worker, status):
            function.stop()
        return sessions, ids
    finally:
        gateway.stop()
        bench.stop()


def filled(folder, sessions, ids, jobs):
    """Copies of the jobs, and a conversation of many turns. Returns ids of stored jobs by user, and the time that it took."""
    began = time.perf_counter()
    database = stored.opened(f"{folder}/engines/table.db")
    call, read, turn = (stored.Template(database, sessions[0]["user_id"], identity) for identity in ids)
    before = uuid.UUID(ids[0]).int >> 80
    heavy = [session["user_id"] for session in sessions]
    each = jobs // 2 // HEAVY
    others = [(stored.copied_user(n), [call, read], OF_OTHERS) for n in range((jobs - each * HEAVY) // OF_OTHERS)]
    stored.fill(database, [(user, [call, read], each) for user in heavy] + others, before)
    stored.fill(database, [(heavy[0], [turn], TURNS)], before - 2 * jobs)
    some = {user: [sk[4:] for sk, in database.execute(
        f'SELECT sk FROM "{stored.TABLE}" WHERE pk = ? AND sk LIKE \'S:J#%\' ORDER BY sk DESC LIMIT 400', (f"S:U#{user}",))] for user in heavy[1:]}
    database.close()
    os.sync()  # or the engine's first start would wait for it
    return some, time.perf_counter() - began


def settle(bench):
    """The processor seconds of the engines' first pass over expired items; None where it takes more than a minute. It then goes
    on beside what is measured, with a tenth of a core."""
    pid, last, ends = bench.engines.process.pid, -1.0, time.monotonic() + 60
    began = cpu_seconds(pid)
    while (now := cpu_seconds(pid)) - last > 0.02:
        if time.monotonic() > ends:
            return None
        last = now
        time.sleep(2)
    return now - began


def measured(bench, name, operation, events, status):
    """One row: times, processor time and memory of the function, then requests and units."""
    from counting import Counted
    function = bench.function(name)
    check = (lambda answer: expect(answer, status)) if status else (lambda answer: answer)
    for event in events[:WARM]:
        check(function.invoke(event)[0])
    before, times = function.cpu_seconds(), []
    for event in events[WARM:WARM + TIMED]:
        answer, took = function.invoke(event)
        check(answer)
        times.append(took)
    cpu = (function.cpu_seconds() - before) / len(times) * 1000
    memory = memory_mb(function.process.pid, "VmHWM")
    function.stop()
    counted = Counted(bench.env)
    function = bench.function(name, counted.env)
    rest = events[WARM + TIMED:]
    check(function.invoke(rest[0])[0])  # what is cached is read
    counted.clear()
    for event in rest[1:]:
        check(function.invoke(event)[0])
    function.stop()
    many = len(rest) - 1
    return {"operation": operation, "p50": statistics.median(times), "p95": percentile(times, 0.95), "cpu": cpu, "memory": memory,
            "requests": counted.requests.total() / many, "read": counted.units["read"] / many, "write": counted.units["write"] / many}


def turn_row(bench, session, conversation, operation):
    """A turn from its submission to its end: what edge-auth and worker ask for it. Medians, since one turn in some writes what
    the process has seen of the gateway."""
    from counting import Counted
    counted, turns = Counted(bench.env), []
    edge, worker = (bench.function(name, counted.env) for name in ("edge-auth", "worker"))
    status = bench.function("status")
    for _ in range(TALKED):
        counted.clear()
        before = edge.cpu_seconds() + worker.cpu_seconds()
        took = run_job(edge, worker, status, session, TURN | {"conversation": conversation})[1]
        cpu = (edge.cpu_seconds() + worker.cpu_seconds() - before) * 1000
        turns.append((took, cpu, counted.requests.total(), counted.units["read"], counted.units["write"]))
    took, cpu, requests, read, write = (statistics.median(values) for values in zip(*turns))
    row = {"operation": operation, "p50": took, "p95": max(turn[0] for turn in turns), "cpu": cpu,
           "memory": memory_mb(worker.process.pid, "VmHWM"), "requests": requests, "read": read, "write": write}
    for function in (edge, worker, status):
        function.stop()
    return row


def measure(bench, sessions, stored_ids):
    events = WARM + TIMED + COUNTED + 1
    users = sessions[1:]

    def of_users(make):
        return [make(users[n % len(users)], n // len(users)) for n in range(events)]

    def stored_job(session, n):
        ids = stored_ids[session["user_id"]]
        return ids[(n * 7) % len(ids)]

    def reads(path, route):
        return of_users(lambda session, n: get(path.format(stored_job(session, n)), route, session["token"], stored_job(session, n)))

    yield measured(bench, "edge-auth", "accept", of_users(lambda session, _: submission(session["token"], request_id(), CALLS[0])), 202)
    yield measured(bench, "status", "poll", reads("/v1/jobs/{}", "/v1/jobs/{request_id}"), 200)
    yield measured(bench, "status", "list, first page", of_users(lambda session, _: get("/v1/jobs", "/v1/jobs", session["token"])), 200)
    yield measured(bench, "status", "audit chain", reads("/v1/jobs/{}/audit", "/v1/jobs/{request_id}/audit"), 200)
    yield measured(bench, "sweep", "sweep", [sample("sweep.json")] * events, None)
    yield turn_row(bench, users[0], "short", "turn, new conversation")
    yield turn_row(bench, sessions[0], CONVERSATION, f"turn after {TURNS:,}")


def verified(programs, folder, scope):
    """`local audit verify` of a table that nothing has open: what it says, seconds of processor time and the largest memory in MB."""
    command = [programs / "local", "audit", "verify", *scope, "--data", f"{folder}/engines"]
    output = open(f"{folder}/verify.txt", "w+")
    process, memory = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL), 0
    while True:
        # Not the maximum that wait4 says: it has the memory of this process, of before the program was loaded.
        memory = max(memory, memory_mb(process.pid, "VmHWM"))
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.02)
    output.seek(0)
    said = output.read()
    if status:
        sys.exit(f"{scope}: {said}")
    return said.strip().splitlines()[-1], usage.ru_utime + usage.ru_stime, memory


def one_size(programs, base, sessions, ids, jobs):
    folder = f"{base}-{jobs}"
    shutil.copytree(base, folder)
    try:
        some, took = filled(folder, sessions, ids, jobs)
        size = os.path.getsize(f"{folder}/engines/table.db") / 1e6
        print(f"\n{jobs:,} jobs and {TURNS:,} turns: {size:,.0f} MB, stored in {took:.0f} s\n")
        bench, gateway = Bench(programs, folder), None
        try:
            gateway = Gateway(folder, bench.engines.secrets()["openclaw"]["tokens"][0])
            pass_s = settle(bench)
            print("| | p50 / p95 ms | CPU ms | requests | read units | write units | memory MB |\n|---|---|---|---|---|---|---|")
            for row in measure(bench, sessions, some):
                print("| {operation} | {p50:.1f} / {p95:.1f} | {cpu:.1f} | {requests:.2f} | {read:.2f} | {write:.2f} | {memory:.1f} |".format(**row), flush=True)
            passed = "goes on" if pass_s is None else f"took {pass_s:.1f} s of CPU"
            print(f"\nengines: ready after {bench.ready_s:.2f} s, a pass over expired items {passed}, {memory_mb(bench.engines.process.pid, 'VmHWM'):.0f} MB")
        finally:
            if gateway:
                gateway.stop()
            bench.stop()
        scopes = [["--user", stored.copied_user(0)], ["--user", next(iter(some))]]
        for scope in scopes + [["--everything"]] * (jobs <= EVERYTHING_AT_MOST):
            said, cpu, memory = verified(programs, folder, scope)
            print(f"audit verify {' '.join(scope)}: {said}: {cpu:.1f} s of CPU, {memory:.0f} MB", flush=True)
    finally:
        shutil.rmtree(folder)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--jobs", default="1000,100000")
    arguments.add_argument("--programs", default="target/debug")
    given = arguments.parse_args()
    python = ROOT / ".local/bench/python/bin/python"
    subprocess.run([ROOT / "scripts/dev/venv.sh", ROOT / ".local/bench/python", "bench"], check=True, cwd=ROOT)
    if pathlib.Path(sys.prefix).resolve() != (ROOT / ".local/bench/python").resolve():
        os.execv(python, [str(python), *sys.argv])
    programs, base = ROOT / given.programs, str(ROOT / ".local/growth")
    shutil.rmtree(base, ignore_errors=True)
    os.makedirs(base)
    try:
        sessions, ids = prepare(programs, base)
        for jobs in map(int, given.jobs.split(",")):
            one_size(programs, base, sessions, ids, jobs)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
