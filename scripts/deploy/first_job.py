"""One job of a test user through the deployed API, with its result and its audit chain."""

import json
import time
import urllib.error

from stack import ROOT, Failure, fetch

CHAIN = ".local/first-deploy/audit.json"
PATIENCE_S = 120
# A longer result is cut.
SHOWN = 2_000


def run(first):
    stack = first.stack
    session = [
        "--stage", stack.stage, "--edge-auth-secret", stack.outputs()["EdgeAuthSecretArn"],
        "--table", stack.outputs()["TableName"], "--wechat-app-id", stack.deployed_parameters()["WechatAppId"],
    ]  # fmt: skip
    client = Client(stack, first.local.must("session", *session))
    tool = chosen(client, first.tool)
    request = first.local.must("id")
    client.call("POST", "/v1/jobs", 202, {"tool": tool["name"], "arguments": tool["example"]}, {"idempotency-key": request})
    job = over(client, request)
    if job["status"] != "succeeded":
        raise Failure(f"the job of {tool['name']} ended as {job['status']}: {json.dumps(job.get('error') or job.get('reason'))}; if the gateway does not have this tool, name another one with --tool, or put your own into policy/tools.toml (docs/start/adding-a-tool.md)")
    print(f"  {tool['name']} {json.dumps(tool['example'])} as job {request}: {job['status']}")
    print("  result: " + json.dumps(job.get("result"), ensure_ascii=False)[:SHOWN])
    chain(first, client, request)
    print(f"  {stack.url()} answers. Another session, for an hour: target/debug/local session {' '.join(session)}")
    print(f"  delete the files with the two values: {' '.join(str(file) for file in first.files.values())}", flush=True)


class Client:
    def __init__(self, stack, token):
        self.url, self.china = stack.url(), stack.in_china()
        self.headers = {"authorization": f"Bearer {token}"}

    def call(self, method, path, wanted, body=None, headers=None):
        try:
            status, _, answer = fetch(f"{self.url}{path}", method, {**self.headers, **(headers or {})}, body)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            licence = "; in China that needs the account's ICP licence" if self.china else ""
            raise Failure(f"{self.url} does not answer from here ({getattr(error, 'reason', error)}){licence}") from error
        if status != wanted:
            told = answer if isinstance(answer, dict) else {}
            raise Failure(f"{method} {path.split('?')[0]} answers {status} {told.get('code', '')}: {told.get('detail', 'no problem document')}")
        return answer


def chosen(client, name):
    """A tool that only reads, needs no approval, and has an example; or the one that was named."""
    tools = client.call("GET", "/v1/tools", 200)["tools"]
    fit = [one for one in tools if one["name"] == name] if name else [one for one in tools if (one["effect"], one["approval"]) == ("read", "none")]
    if not fit:
        what = f"no tool {name}" if name else "no tool that reads without an approval"
        raise Failure(f"this user may call {what}; name one of {', '.join(one['name'] for one in tools) or 'none'} with --tool")
    return fit[0]


def over(client, request):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        job = client.call("GET", f"/v1/jobs/{request}", 200)
        if "next_poll_ms" not in job:
            return job
        if time.monotonic() > deadline:
            raise Failure(f"job {request} is still {job['status']} after {PATIENCE_S} s; docs/operate/runbook.md, Stuck jobs")
        time.sleep(job["next_poll_ms"] / 1000)


def chain(first, client, request):
    """Prints the chain and verifies it offline with `local audit verify`."""
    found = client.call("GET", f"/v1/jobs/{request}/audit", 200)
    file = ROOT / CHAIN
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))
    for record in found["records"]:
        print(f"  audit: {record['seq']:>3} {record['at']} {record['event']}")
    print(f"  audit chain, in {CHAIN}: {first.local.must('audit', 'verify', file).splitlines()[-1]}", flush=True)
