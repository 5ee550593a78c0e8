"""The service as it is measured here: its binaries, its engines, and events for it."""
import json, pathlib, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts/client"))
from mini_program import request_id
# No limit gets in the way of a count.
UNLIMITED = {"METRICS_NAMESPACE": "bench", "SUBMIT_INTERVAL_MS": "1", "SUBMIT_BURST": "1000", "MAX_IN_FLIGHT": "100000",
             "LOGIN_INTERVAL_MS": "1", "LOGIN_BURST": "1000"}


class Engines:
    """`local engines` with an empty table, or with that of a folder, which then stays; and the environment that functions need
    to reach them."""

    def __init__(self, folder=None, program=ROOT / "target/debug/local"):
        (ROOT / ".local").mkdir(exist_ok=True)
        self.stays = folder is not None
        self.folder = folder or tempfile.mkdtemp(prefix="bench-", dir=ROOT / ".local")
        ports = [word for port in ("table", "queue", "wechat") for word in (f"--{port}-port", "0")]
        command = [program, "engines", "--data", f"{self.folder}/engines", *ports]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.env = {}
        for line in self.process.stdout:
            if not line.startswith("export "):
                break
            name, value = line[len("export "):].strip().split("=", 1)
            self.env[name] = value.strip("'")
        if not self.env:
            sys.exit("`local engines` does not start: cargo build --workspace --bin local")

    def secrets(self):
        return json.loads(pathlib.Path(self.env["SECRETS_FILE"]).read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait()
        if not self.stays:
            shutil.rmtree(self.folder)


def unpack(name):
    """Sizes in MB of a function's zip and of its binary, which is then beside it."""
    folder = ROOT / "target/lambda" / name
    archive = folder / "bootstrap.zip"
    if not archive.exists():
        sys.exit(f"{archive.relative_to(ROOT)} is missing: cargo lambda build --release --output-format zip")
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(archive), str(folder)], check=True)
    (folder / "bootstrap").chmod(0o755)
    return archive.stat().st_size / 1e6, (folder / "bootstrap").stat().st_size / 1e6


def sample(name):
    return json.loads((ROOT / "events" / name).read_text())


def http_event(name, token="", request="", **headers):
    event = sample(name)
    event["headers"].pop("if-none-match", None)
    event["headers"] |= headers
    if token:
        event["headers"]["authorization"] = f"Bearer {token}"
    if "idempotency-key" in event["headers"]:
        event["headers"]["idempotency-key"] = request
    old = (event.get("pathParameters") or {}).get("request_id")
    return json.loads(json.dumps(event).replace(old, request)) if old else event


def log_in(edge_auth, user):
    """A session of a user: `token` and `user_id`."""
    event = http_event("login.json")
    event["body"] = json.dumps({"code": f"dev-{user}"})
    answer = edge_auth.invoke(event)[0]
    if answer["statusCode"] != 201:
        sys.exit(f"no session: {answer}")
    return json.loads(answer["body"])
