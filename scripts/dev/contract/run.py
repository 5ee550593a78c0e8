"""Holds the service against openapi.yaml with generated requests: as anonymous, as a user, as an operator.

The seed is fixed and the number of cases per operation bounded, so a run is the same twice as far as the service's own ids and
times are. `run.py --cases 300` is a longer run, `--as user` one of the three.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import service
from request_id import request_id

HERE = pathlib.Path(__file__).resolve().parent
HOME = service.ROOT / ".local/contract-run"
ST = service.ROOT / ".local/contract/bin/schemathesis"
SEED = 20261128
LEAST_CASES = 500
WHO = {
    "anonymous": [],
    # A user who logs out is anonymous from then on.
    "user": ["--exclude-operation-id", "logOut", "--exclude-tag", "operators"],
    "operator": ["--include-tag", "operators"],
}
# The security scheme of openapi.yaml that each has a token for.
SCHEME = {"user": "session", "operator": "operator"}
JOBS = [
    {"tool": "ledger_append", "arguments": {"note": "two coffees"}},
    {"message": "What did I note?", "conversation": "notes"},
    {"tool": "ledger_pay", "arguments": {"amount": 120, "note": "two coffees"}},
    {"tool": "ledger_pay", "arguments": {"amount": 600, "note": "a machine"}},
    {"tool": "ledger_fail", "arguments": {"kind": "throw"}},
]


def prepare(host):
    """Creates an entry for every list and read. Returns the tokens, and the ids that exist from now on."""
    user, operator = host.user("alice"), host.operator()
    jobs = [host.submit(user, request_id(), body) for body in JOBS]
    jobs = [host.call("GET", f"/v1/jobs/{job['request_id']}?wait=1", token=user) for job in jobs]
    me = host.call("POST", "/v1/sessions", {"code": "dev-alice"})["user_id"]
    exist = {
        "path.request_id": [job["request_id"] for job in jobs],
        "path.place": [0, 1],
        "path.job": [job["support_code"] for job in jobs],
        "path.user_id": [me],
        "path.name": ["ledger_append", "ledger_delete"],
        "path.conversation": ["notes"],
        "body.digest": [job["approval"]["digest"] for job in jobs if "approval" in job],
        "body.tool": ["ledger_append", "ledger_read", "ledger_pay"],
        "body.agent": ["main"],
    }
    return {"anonymous": None, "user": user, "operator": operator}, exist


def configuration(who, token, exist, cases):
    """The settings, with the token where the document asks for one, and with values that exist for every second case."""
    text = f"seed = {SEED}\n" + (HERE / "schemathesis.toml").read_text(encoding="utf-8").replace("CASES", str(cases))
    for place, values in exist.items():
        text += f'\n[dictionaries."{place}"]\nvalues = {json.dumps(values)}\n'
    text += "\n[parameters]\n"
    for place in exist:
        text += f'"{place}" = {{ dictionary = "{place}", probability = 0.5 }}\n'
    if token:
        text += f'\n[auth.openapi]\n{SCHEME[who]} = {{ bearer = "{token}" }}\n'
    file = HOME / f"{who}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def run(host, who, config):
    """One run. Returns its counts and its findings."""
    report = HOME / f"{who}.json"
    command = [ST, "--config-file", config, "run", service.ROOT / "openapi.yaml", "--url", host.url, "--report", "json", "--report-json-path", report, *WHO[who]]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    with open(HOME / f"{who}.log", "w", encoding="utf-8") as log:
        code = subprocess.run([str(word) for word in command], stdout=log, stderr=subprocess.STDOUT, cwd=HOME, env=environment).returncode
    found = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    counted = found.get("test_cases", {}).get("generated", 0)
    operations = found.get("operations", {}).get("tested", 0)
    failures = found.get("test_cases", {}).get("unique_failures", 0) + sum(error["count"] for error in found.get("errors", []))
    print(f"{who}: {operations} operations, {counted} cases, {failures} failures, {found.get('running_time', 0):.0f} s", flush=True)
    # A run without requests is a failure.
    return code == 0 and failures == 0 and counted >= LEAST_CASES and operations > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20, help="at most so many generated cases for an operation and phase")
    parser.add_argument("--as", dest="who", action="append", choices=list(WHO))
    parser.add_argument("--local", type=pathlib.Path, default=service.LOCAL)
    options = parser.parse_args()
    service.LOCAL = options.local
    with service.Service(HOME) as host:
        tokens, exist = prepare(host)
        configured = {who: configuration(who, tokens[who], exist, options.cases) for who in options.who or WHO}
        failed = [who for who, config in configured.items() if not run(host, who, config)]
    for who in failed:
        print(f"\n-- {HOME}/{who}.log\n{(HOME / f'{who}.log').read_text(encoding='utf-8')}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
