"""Lambda's runtime API on loopback, and functions as processes that ask it for events: what the measurements here share."""
import http.server, json, os, pathlib, queue, subprocess, sys, threading, time, uuid

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process so far, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mb(pid, field="VmRSS"):
    """Resident memory of a process; `VmHWM` is its largest so far. 0 of one that has ended."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0)


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
    """A process that serves one function. `init_ms` is the time from its start to its first request for an event."""

    def __init__(self, name, command, env):
        self.runtime = Runtime()
        own = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.runtime.server_port}", "AWS_LAMBDA_FUNCTION_NAME": name,
               "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "1", "RUST_LOG": "info",
               "AWS_LAMBDA_LOG_STREAM_NAME": "s", "AWS_LAMBDA_LOG_GROUP_NAME": "g"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, env={**env, **own}, stdout=subprocess.DEVNULL)
        if not self.runtime.asked.wait(20):
            self.process.kill()
            sys.exit(f"{name} does not ask for an event")
        self.init_ms = (time.perf_counter() - self.began) * 1000

    def invoke(self, event):
        """Its answer, and how long that took in milliseconds."""
        began = time.perf_counter()
        self.runtime.events.put(event)
        answer = self.runtime.answers.get(timeout=30)
        return answer, (time.perf_counter() - began) * 1000

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def rss_mb(self):
        return memory_mb(self.process.pid)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.runtime.events.put(None)


def cpu_per_event(function, events, status):
    """CPU seconds of one event, over all that are given; each has to be answered with this status."""
    before = function.cpu_seconds()
    for event in events:
        answer = function.invoke(event)[0]
        if not isinstance(answer, dict) or answer.get("statusCode") != status:
            sys.exit(f"an event should have been answered with {status}: {answer}")
    return (function.cpu_seconds() - before) / len(events)
