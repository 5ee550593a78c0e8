"""A service of one host for one run: `local run --dev` on a gateway that starts at once, with data of its own."""

import json
import pathlib
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
NODE = ROOT / ".local/openclaw/bin/node"
LOCAL = ROOT / "target/debug/local"
WRITES = "ledger_append,ledger_append_once,ledger_sleep,ledger_fail,ledger_pay,ledger_delete"


class Service:
    def __init__(self, home):
        self.home = home
        self.processes = []
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        token = self.home / "gateway.token"
        token.write_text(secrets.token_hex(16))
        # Its tools are those of the demo; it lives until its standard input closes.
        gateway = self.spawn("gateway", [NODE, ROOT / "openclaw-plugin/test/mini-gateway.mjs", "--token", token.read_text(),
                                         "--db", self.home / "journal.db", "--ledger", self.home / "ledger.jsonl",
                                         "--guard", WRITES, "--reads", "ledger_read"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        port = gateway.stdout.readline().split()[1]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.spawn("service", [LOCAL, "run", "--dev", "--port", str(self.port), "--data", self.home / "data",
                               "--gateway-url", f"http://127.0.0.1:{port}", "--gateway-token-file", token])
        self.wait_until_ready()

    def spawn(self, name, command, **pipes):
        log = open(self.home / f"{name}.log", "w", encoding="utf-8")
        process = subprocess.Popen([str(word) for word in command], stderr=log, cwd=ROOT, text=True, **{"stdout": log} | pipes)
        self.processes.append(process)
        return process

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def wait_until_ready(self):
        for _ in range(300):
            if self.processes[-1].poll() is not None:
                raise SystemExit(f"contract: the service ended; read {self.home}/service.log")
            try:
                self.call("GET", "/readyz")
                return
            except (OSError, ValueError):
                time.sleep(0.2)
        raise SystemExit(f"contract: the service does not get ready; read {self.home}/service.log")

    def call(self, method, path, body=None, token=None, headers=()):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers), method=method)
        if data is not None:
            request.add_header("content-type", "application/json")
        if token:
            request.add_header("authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def user(self, name):
        return self.call("POST", "/v1/sessions", {"code": f"dev-{name}"})["token"]

    def operator(self):
        command = [LOCAL, "operator", "token", "--role", "admin", "--subject", "contract", "--minutes", "60", "--data", self.home / "data"]
        return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()

    def submit(self, token, key, body):
        return self.call("POST", "/v1/jobs", body, token, [("idempotency-key", key)])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
