#!/usr/bin/env python3
"""Measures the functions as they ship: zip, init, first and warm invocation, memory, CPU per accept.

    cargo lambda build --release --output-format zip      # cargo-lambda is on PyPI
    python3 bench/functions.py

Plays the Lambda runtime API on loopback and runs each bootstrap as a process, against `local engines` and the journal in
the small test gateway. Times are those of this machine; sizes and CPU per accept travel better. Prints one table.
"""
import http.server, json, os, pathlib, queue, statistics, subprocess, sys, tempfile, threading, time, uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS, WARM, ACCEPTS = 10, 30, 300
TICK = os.sysconf("SC_CLK_TCK")


class Runtime(http.server.ThreadingHTTPServer):
    """One function's runtime API: hands out events, takes answers, knows when it was asked first."""

    daemon_threads = True

    def handle_error(self, *_):
        pass  # a function that is killed hangs up

    def __init__(self):
        self.events, self.answers, self.asked = queue.Queue(), queue.Queue(), threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one segment an answer: two would wait for each other's acknowledgement

    def log_message(self, *_):
        pass

    def reply(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        self.server.asked.set()
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        deadline = str(int(time.time() * 1000) + 30_000)
        headers = [("lambda-runtime-aws-request-id", str(uuid.uuid4())), ("lambda-runtime-deadline-ms", deadline),
                   ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:f"),
                   ("content-type", "application/json")]
        self.reply(200, headers, json.dumps(event).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.answers.put(json.loads(body or b"null"))
        self.reply(202)


class Function:
    def __init__(self, name, env):
        self.runtime = Runtime()
        binary = ROOT / "target/lambda" / name / "bootstrap"
        own = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.runtime.server_port}", "AWS_LAMBDA_FUNCTION_NAME": name,
               "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "1", "RUST_LOG": "info",
               "AWS_LAMBDA_LOG_STREAM_NAME": "s", "AWS_LAMBDA_LOG_GROUP_NAME": "g"}
        began = time.perf_counter()
        self.process = subprocess.Popen([binary], env={**env, **own}, stdout=subprocess.DEVNULL)
        if not self.runtime.asked.wait(10):
            sys.exit(f"{name} does not ask for an event")
        self.init_ms = (time.perf_counter() - began) * 1000

    def invoke(self, event):
        began = time.perf_counter()
        self.runtime.events.put(event)
        answer = self.runtime.answers.get(timeout=30)
        return answer, (time.perf_counter() - began) * 1000

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss_mb(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.runtime.events.put(None)


def unpack(name):
    folder = ROOT / "target/lambda" / name
    archive = folder / "bootstrap.zip"
    if not archive.exists():
        sys.exit(f"{archive.relative_to(ROOT)} is missing: cargo lambda build --release --output-format zip")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(archive), str(folder)], check=True)
    (folder / "bootstrap").chmod(0o755)
    return archive.stat().st_size / 1e6, (folder / "bootstrap").stat().st_size / 1e6


def request_id():
    return str(uuid.UUID(int=(int(time.time() * 1000) << 80) | (7 << 76) | (2 << 62) | (uuid.uuid4().int & ((1 << 62) - 1))
                         | (uuid.uuid4().int & 0xFFF) << 64))


def sample(name):
    return json.loads((ROOT / "events" / name).read_text())


def http_event(name, token="", request=""):
    event = sample(name)
    event["headers"].pop("if-none-match", None)
    if token:
        event["headers"]["authorization"] = f"Bearer {token}"
    if "idempotency-key" in event["headers"]:
        event["headers"]["idempotency-key"] = request
    old = (event.get("pathParameters") or {}).get("request_id")
    return json.loads(json.dumps(event).replace(old, request)) if old else event


def row(name, sizes, inits, first, warm, function):
    print(f"| {name} | {sizes[1]:.1f} | {sizes[0]:.2f} | {statistics.median(inits):.1f} / {max(inits):.1f} | {first:.1f} "
          f"| {statistics.median(warm):.1f} | {function.rss_mb():.1f} |")


def measure(name, env, events):
    """`events` gives the n-th event; returns the last process, still running."""
    sizes, inits = unpack(name), []
    for _ in range(RUNS):
        function = Function(name, env)
        inits.append(function.init_ms)
        function.stop()
    function = Function(name, env)
    first = function.invoke(events(0))[1]
    warm = [function.invoke(events(n))[1] for n in range(1, WARM)]
    row(name, sizes, inits, first, warm, function)
    return function


def cpu(function, name, events, status):
    before = function.cpu_seconds()
    for n in range(ACCEPTS):
        answer = function.invoke(events(n))[0]
        if answer["statusCode"] != status:
            sys.exit(f"{name}: {answer}")
    return f"| {name} | {(function.cpu_seconds() - before) / ACCEPTS * 1e6:.0f} |"


def main():
    engines = subprocess.Popen([ROOT / "target/debug/local", "engines"], stdout=subprocess.PIPE, text=True)
    env = {}
    for line in engines.stdout:
        if not line.startswith("export "):
            break
        name, value = line[len("export "):].strip().split("=", 1)
        env[name] = value.strip("'")
    # No limit gets in the way of the count; one user submits everything.
    env |= {"METRICS_NAMESPACE": "bench", "SUBMIT_INTERVAL_MS": "1", "SUBMIT_BURST": "1000", "MAX_IN_FLIGHT": "100000", "LOGIN_BURST": "1000"}
    secrets = json.loads(pathlib.Path(env["SECRETS_FILE"]).read_text())
    folder = tempfile.mkdtemp(dir=ROOT / ".local")
    gateway = subprocess.Popen(
        [ROOT / ".local/openclaw/bin/node", ROOT / "openclaw-plugin/test/mini-gateway.mjs", "--port", "18789", "--token",
         secrets["openclaw"]["tokens"][0], "--db", f"{folder}/journal.db", "--ledger", f"{folder}/ledger.jsonl"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    gateway.stdout.readline()
    try:
        print("| function | binary MB | zip MB | init p50 / max ms | first ms | warm ms | RSS MB |\n|---|---|---|---|---|---|---|")
        unpack("edge-auth")
        probe = Function("edge-auth", env)
        session = json.loads(probe.invoke(http_event("login.json"))[0]["body"])
        probe.stop()
        token, ids = session["token"], []

        def submit(_):
            ids.append(request_id())
            return http_event("submit.json", token, ids[-1])

        edge = measure("edge-auth", env, submit)
        bad = http_event("submit.json", token, request_id())
        bad["body"] = '{"tool":"ledger_append","arguments":{"note":7}}'
        costs = [cpu(edge, "no session: 401, nothing is asked", lambda _: http_event("submit.json", "x.y.z", ids[0]), 401),
                 cpu(edge, "bad arguments: 422, one table request", lambda _: bad, 422),
                 cpu(edge, "replay: 200, three table requests", lambda _: http_event("submit.json", token, ids[0]), 200),
                 cpu(edge, "accept: 202, five table requests and one of the queue", submit, 202)]
        edge.stop()

        def bell(n):
            event = sample("job.sqs.json")
            event["Records"][0]["body"] = json.dumps({"user_id": session["user_id"], "request_id": ids[n]})
            return event

        worker = measure("worker", env, bell)
        worker.stop()
        status = measure("status", env, lambda n: http_event("get-job.json", token, ids[n]))
        done = json.loads(status.invoke(http_event("get-job.json", token, ids[5]))[0]["body"])["status"]
        status.stop()
        measure("sweep", env, lambda n: sample("sweep.json")).stop()
        effects = pathlib.Path(f"{folder}/ledger.jsonl").read_text().count("\n")
        print("\n| edge-auth, CPU per request (user + system, runtime API included) | us |\n|---|---|")
        print("\n".join(costs))
        print(f"\nThe worker ran {WARM} jobs with {effects} effects; one of them is {done}.")
    finally:
        gateway.kill()
        engines.terminate()


main()
