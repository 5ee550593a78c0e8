#!/usr/bin/env python3
"""Measures one host with the real gateway: how long a quick write takes, what the service does while nothing happens, how soon it
is ready, and how a load is shared.

    scripts/openclaw/install.sh
    cargo build --workspace --locked --profile host --bin local
    python3 bench/one_host.py --program target/host/local

Nothing else should run. A first service starts the gateway and stays idle; what is measured is a second one beside it, with a
table of its own. Times are seen by a client over HTTP on loopback; processor times are those of the process.
"""
import argparse, http.client, json, os, pathlib, re, shutil, statistics, subprocess, sys, threading, time, urllib.parse

from runtime_api import cpu_seconds, memory_mb
from service import ROOT, request_id

WRITES, IDLE_S, JOBS, USERS, AT_ONCE, STARTS = 100, 60, 200, 20, 16, 5
NOTE = {"tool": "ledger_append", "arguments": {"note": "two coffees"}}


class Client:
    """One connection to the service, which stays open. With a code it has a session."""

    def __init__(self, base, code=None):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(base).netloc, timeout=60)
        self.token = self.ask("POST", "/v1/sessions", {"code": code})[1]["token"] if code else None

    def ask(self, method, path, body=None, **headers):
        headers["content-type"] = "application/json"
        if getattr(self, "token", None):
            headers["authorization"] = f"Bearer {self.token}"
        self.connection.request(method, path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def run(self, identity, held=True):
        """A write from its submission to its result: seconds until it was accepted and until it had ended. Polls are held by the
        service, or sent every five milliseconds."""
        began = time.perf_counter()
        while (status := self.ask("POST", "/v1/jobs", NOTE, **{"idempotency-key": identity})[0]) in (429, 503):
            time.sleep(0.2)
        if status not in (200, 202):
            sys.exit(f"a submission was answered with {status}")
        accepted = time.perf_counter() - began
        while True:
            job = self.ask("GET", f"/v1/jobs/{identity}?wait={20 if held else 0}")[1]
            if job.get("status") == "succeeded":
                return accepted, time.perf_counter() - began
            if "next_poll_ms" not in job:
                sys.exit(f"a job ended otherwise: {job}")
            if not held:
                time.sleep(0.005)


class Service:
    """`local run --dev`, with the gateway of another one or with its own. `ready_s` is the time until /readyz answers 200."""

    def __init__(self, program, folder, gateway=()):
        began = time.perf_counter()
        command = [program, "run", "--dev", "--port", "0", "--data", folder, "--ledger", f"{folder}.jsonl", *gateway]
        self.log = open(f"{folder}.log", "w")
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = next((line for line in self.process.stdout if line.startswith("Ready on ")), None)
        if not line:
            sys.exit(f"the service does not start: {folder}.log")
        self.url, self.gateway_url = re.match(r"Ready on (\S+?), with (?:an|the) OpenClaw gateway (?:on )?(\S+)\.", line).groups()
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        client = Client(self.url)
        while client.ask("GET", "/readyz")[0] != 200:
            if time.perf_counter() - began > 120:
                sys.exit(f"the service does not become ready: {client.ask('GET', '/readyz')}")
            time.sleep(0.02)
        self.ready_s = time.perf_counter() - began

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def gateway_pid(pid):
    """The descendant of the first service that uses the most memory: the gateway itself, not the script that started it."""
    children = [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    below = [gateway_pid(child) for child in children]
    return max([pid, *below], key=memory_mb) if below else pid


def shown(times):
    times = sorted(times)
    return f"p50 {statistics.median(times) * 1000:.0f} ms, p95 {times[int(len(times) * 0.95)] * 1000:.0f} ms"


def quick_writes(service):
    clients = [Client(service.url, f"dev-quick-{n}") for n in range(10)]
    for client in clients:
        client.run(request_id())
    for held, how in ((True, "by held polls"), (False, "by polls every 5 ms")):
        accepts, results = [], []
        for n in range(WRITES):
            accepted, ended = clients[n % len(clients)].run(request_id(), held)
            accepts.append(accepted)
            results.append(ended)
            time.sleep(0.1)
        print(f"| quick writes, one after the other, {how} | accept {shown(accepts)}; result {shown(results)} |", flush=True)


def idle(service):
    time.sleep(15)
    before, began = cpu_seconds(service.process.pid), time.monotonic()
    time.sleep(IDLE_S)
    share = (cpu_seconds(service.process.pid) - before) / (time.monotonic() - began)
    print(f"| idle for {IDLE_S} s | {share:.2%} of a core, {memory_mb(service.process.pid):.0f} MB |", flush=True)


def load(service, gateway):
    clients = [Client(service.url, f"dev-load-{n}") for n in range(USERS)]
    todo, done = [(n, request_id()) for n in range(JOBS)], []
    # A user's connection serves one request at a time.
    free = {n: threading.Lock() for n in range(USERS)}

    def work():
        while todo:
            try:
                n, identity = todo.pop()
            except IndexError:
                return
            with free[n % USERS]:
                done.append(clients[n % USERS].run(identity))

    pids = {"service": service.process.pid, "gateway": gateway}
    before, began = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - began
    used = ", ".join(f"{name} {(cpu_seconds(pid) - before[name]) / took:.0%}" for name, pid in pids.items())
    if len(done) != JOBS:
        sys.exit(f"{JOBS - len(done)} jobs are lost")
    print(f"| {JOBS} quick writes of {USERS} users, {AT_ONCE} at once | {JOBS / took:.1f} jobs/s; accept {shown([a for a, _ in done])}; "
          f"result {shown([r for _, r in done])}; of a core: {used} |", flush=True)


def starts(program, folder, gateway):
    times = []
    for n in range(STARTS):
        service = Service(program, f"{folder}/start-{n}", gateway)
        times.append(service.ready_s)
        service.stop()
    print(f"| ready, with a new table, beside a gateway that runs | {min(times):.2f} to {max(times):.2f} s |", flush=True)
    again = Service(program, f"{folder}/start-0", gateway)
    print(f"| ready, with the table of before | {again.ready_s:.2f} s |", flush=True)
    again.stop()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--program", default="target/host/local")
    program = ROOT / arguments.parse_args().program
    folder = str(ROOT / ".local/one-host-bench")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    first = Service(program, f"{folder}/first")
    gateway = ["--gateway-url", first.gateway_url, "--gateway-token-file", f"{folder}/first/gateway/gateway.token"]
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n\n| what | |\n|---|---|", flush=True)
    try:
        starts(program, folder, gateway)
        service = Service(program, f"{folder}/measured", gateway)
        quick_writes(service)
        idle(service)
        load(service, gateway_pid(first.process.pid))
        service.stop()
    finally:
        first.stop()
    print(f"\nload average {os.getloadavg()[0]:.1f} after")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
