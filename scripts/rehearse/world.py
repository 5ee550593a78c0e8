"""The environment of the service: the emulator of AWS, a real OpenClaw gateway, the WeChat stub."""

import json
import os
import re
import subprocess
import threading

import tomlkit

from issuer import Issuer
from processes import Processes, free_port, read_event
from stack import ROOT

APP_ID = "wx00000000000000de"
APP_SECRET = "rehearsal-app-secret"
# Ledger entries that a tool writes at its end.
ENDS = {"sleep_end", "sleep_aborted"}
# Of a line in its log.
COMPLAINT = re.compile(r" (WARNING|ERROR) \[(?!samtranslator)|panicked|exited during init|\"level\":\"ERROR\"")
LOCAL = ROOT / "target/debug/local"


class World:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.processes = Processes(directory)
        self.ledger = directory / "gateway/ledger.jsonl"
        self.gateway_token = directory / "gateway/gateway.token"
        self.app_secret = directory / "wechat.secret"
        self.emulator_port, self.gateway_port, self.wechat_port = free_port(), free_port(), free_port()
        self.issuer = Issuer()
        self.endpoint = f"http://127.0.0.1:{self.emulator_port}"
        self.gateway_url = f"http://127.0.0.1:{self.gateway_port}"
        self.wechat_url = f"http://127.0.0.1:{self.wechat_port}"

    def aws_environment(self):
        """Replaces all AWS settings of the environment, so that no request reaches a real account."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def start_emulator(self):
        """The functions inherit its environment, so it contains no variable that the template has to set."""
        home = self.directory / "emulator"
        home.mkdir(exist_ok=True)
        environment = {
            # Functions in Python run on its own interpreter, which has the SDK as Lambda's runtime has.
            "PATH": f"{ROOT / '.local/emulator/bin'}:{os.environ['PATH']}", "HOME": str(home), "TMPDIR": str(home), "S3_DATA_DIR": str(home / "s3"),
            "GATEWAY_PORT": str(self.emulator_port), "BIND_HOST": "127.0.0.1", "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
            # The roles' policies are enforced; the emulator's MQTT broker and SFTP are not needed.
            "AUTH": "true", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "MINISTACK_HOST": "127.0.0.1",
        }  # fmt: skip
        process = self.processes.start("emulator", [str(ROOT / ".local/emulator/bin/ministack")], environment)
        self.processes.wait_for("emulator", process, f"{self.endpoint}/_ministack/health", 60)

    def start_gateway(self):
        """The real one, with the journal and the demo tools; guarded as the catalogue says."""
        tools = tomlkit.parse((ROOT / "policy/tools.toml").read_text()).unwrap()["tool"]
        reads = ",".join(tool["name"] for tool in tools if tool["effect"] == "read")
        guarded = ",".join(tool["name"] for tool in tools if tool["effect"] != "read")
        home = self.directory / "gateway"
        home.mkdir(exist_ok=True)
        command = [
            str(ROOT / ".local/openclaw/bin/node"), str(ROOT / "scripts/openclaw/gateway.mjs"), "--dir", str(home), "--port", str(self.gateway_port),
            "--ledger", str(self.ledger), "--db", str(home / "journal.db"), "--guard", guarded, "--reads", reads,
        ]  # fmt: skip
        process = self.processes.start("gateway", command, dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        event = read_event(process.stdout, "ready")
        # Its further output is discarded; a full pipe would block it.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        return event["seconds"]

    def start_wechat(self):
        self.app_secret.write_text(APP_SECRET)
        command = [str(LOCAL), "wechat-stub", "--port", str(self.wechat_port), "--app-id", APP_ID, "--app-secret-file", str(self.app_secret)]
        process = self.processes.start("wechat", command, dict(os.environ))
        self.processes.wait_for("wechat", process, f"{self.wechat_url}/sns/jscode2session", 20)

    def complaints(self, newest=40):
        """The errors in the emulator's log, which has the functions' log lines too."""
        log = self.directory / "emulator.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [line for line in lines if COMPLAINT.search(line)][-newest:]

    def effects(self, note):
        """Number of effects with that note in the ledger. An entry of a tool's end is not counted."""
        return sum(line.get("note") == note and line["op"] not in ENDS for line in self.lines())

    def lines(self):
        if not self.ledger.exists():
            return []
        return [json.loads(line) for line in self.ledger.read_text().splitlines() if line]
