"""From the package to the first answer, as docs/start/lighthouse.md says it."""

import json
import re

import certificates
from gateway import HERE, JOURNAL, LEDGER
from mini_program import OVER, request_id
from phone import DOMAIN
from rootfs import HOME, USER
from transcript import Failure, claim, until

APP_ID = "wx0123456789abcdef"
APP_SECRET = "0123456789abcdef0123456789abcdef"
SINK = "/srv/webhook.jsonl"
RECEIVER = f"""import fs from "node:fs";
import http from "node:http";
http.createServer(async (req, res) => {{
  let body = "";
  for await (const part of req) body += part;
  fs.appendFileSync("{SINK}", body + "\\n");
  res.end("{{}}");
}}).listen(8798, "127.0.0.1");
"""
# A tool that the first policy does not have, so that it can be added later.
LATER = "ledger_append_once"


def steps(walk):
    yield "boot", lambda: boot(walk)
    yield "install", lambda: install(walk)
    yield "gateway", lambda: gateway(walk)
    yield "configure", lambda: configure(walk)
    yield "start", lambda: start(walk)
    yield "proxy", lambda: proxy(walk)
    yield "mode of a new service", lambda: read_only(walk)
    yield "first job", lambda: first_job(walk)
    yield "doctor", lambda: doctor(walk)
    yield "exposure", lambda: exposure(walk)


def boot(walk):
    state = walk.machine.boot()
    walk.phone.connect()
    version = walk.machine.run("systemctl --version").split()[1]
    return f"systemd {version}, {state}"


def install(walk):
    """Nothing starts, and only root reads credentials and backups."""
    machine, deb = walk.machine, walk.first_package
    walk.put_package(deb)
    command = walk.page.command("sudo apt install ./miniprogram_")
    # The page names the version of amd64; on another machine the file has another name.
    machine.person(re.sub(r"miniprogram_\S+\.deb", deb.name, command))
    claim("the package is configured", machine.run("dpkg-query -Wf '${Status}' miniprogram") == "install ok installed")
    for unit in ("miniprogram.service", "miniprogram-watch.timer", "miniprogram-backup.timer", "miniprogram-checkpoints.timer"):
        claim(f"{unit} is not started", machine.property("ActiveState", unit) == "inactive", machine.property("ActiveState", unit))
    secret = machine.run("stat -c '%a %U' /etc/miniprogram/secrets /var/backups/miniprogram").split()
    claim("credentials and backups are root's", secret == ["700", "root"] * 2, secret)
    warned = machine.run("systemd-analyze verify /usr/lib/systemd/system/miniprogram*.service /usr/lib/systemd/system/miniprogram*.timer 2>&1", check=False)
    claim("systemd finds no fault in the units", "miniprogram" not in warned, warned.strip())
    size = machine.run("dpkg-query -Wf '${Installed-Size}' miniprogram")
    walk.transcript.measures("package", f"{deb.stat().st_size / 1e6:.1f} MB ({walk.program_is}), installed {int(size) / 1024:.0f} MiB")
    return machine.run("dpkg-query -Wf '${Version}' miniprogram")


def gateway(walk):
    walk.gateway.install(walk.machine)
    lists = json.loads(walk.machine.person(walk.page.command("miniprogram policy guard")))
    # Refuses what a later policy adds until its lists name it.
    lists["guard"].remove(LATER)
    walk.gateway.configure(walk.machine, lists)
    return f"{walk.gateway.kind}, ready after {walk.gateway.restart(walk.machine):.0f} s"


def without_later(text):
    """The catalogue or the policies without that tool."""
    blocks = [block for block in re.split(r"(?=^\[\[)", text, flags=re.M) if f'name = "{LATER}"' not in block]
    return re.sub(rf'^ *MiniProgram::Tool::"{LATER}",?\n', "", "".join(blocks), flags=re.M)


def configure(walk):
    """The keys of the page, credentials by `secrets set`, and a policy with a tool less than the package's."""
    machine, page = walk.machine, walk.page
    config = machine.run("cat /etc/miniprogram/config.toml")
    code, said = machine.fails("miniprogram config check --config /nowhere.toml")
    claim("a file that is not there is one sentence and exit code 78", code == 78 and len(said.splitlines()) == 1, f"{code} {said}")
    config = config.replace("[wechat]\n", '[wechat]\nbase_url = "http://127.0.0.1:8799"\n')
    config = re.sub(r'app_id = "\w+"', f'app_id = "{APP_ID}"', config)
    config += f'\n[gateway]\nuser = "{USER}"\n\n[backup]\njournal = "{JOURNAL}"\n'
    machine.write("/etc/miniprogram/config.toml", config)
    for file in ("tools.toml", "tools.cedar"):
        path = f"/etc/miniprogram/policy/{file}"
        machine.run(f"cp {path} /srv/{file}")
        machine.write(path, without_later(machine.run(f"cat {path}")))
    code, said = machine.fails("miniprogram doctor")
    claim("doctor names the missing credentials", code == 2 and "wechat-app-secret" in said and "gateway-token" in said, f"{code} {said}")
    machine.person(page.command("sudo miniprogram secrets set wechat-app-secret"), stdin=f"{APP_SECRET}\n")
    machine.person(page.command("sudo miniprogram secrets set gateway-token"), stdin=f"{walk.gateway.token}\n")
    return machine.person(page.command("sudo miniprogram config check")).strip()


def stand_ins(machine):
    """WeChat's place is taken by the stub of the program, and the receiver of alarms by a few lines of Node."""
    machine.write("/srv/wechat-secret", f"{APP_SECRET}\n", mode="600")
    stub = f"/usr/bin/miniprogram wechat-stub --port 8799 --app-id {APP_ID} --app-secret-file /srv/wechat-secret"
    machine.write("/srv/webhook.mjs", RECEIVER)
    for name, command in (("wechat-stub", stub), ("webhook", f"{HERE}/.local/openclaw/bin/node /srv/webhook.mjs")):
        unit = f"[Service]\nExecStart={command}\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n"
        machine.write(f"/etc/systemd/system/{name}.service", unit)
    machine.run("systemctl daemon-reload && systemctl enable --quiet --now wechat-stub webhook")


def start(walk):
    machine, page = walk.machine, walk.page
    stand_ins(machine)
    machine.person(page.command("sudo systemctl enable --now miniprogram"))
    took = machine.until_ready()
    machine.person(page.command("curl http://127.0.0.1:8787/readyz"))
    owner = machine.run("stat -c '%U %a' /var/lib/miniprogram /run/miniprogram/http.sock").split()
    claim("its state is its own, and its socket is its group's", owner == ["miniprogram", "700", "miniprogram", "660"], owner)
    machine.person(page.command("sudo miniprogram secrets set alerts-webhook"), stdin="http://127.0.0.1:8798/hook\n")
    machine.person(page.command("sudo systemctl restart miniprogram"))
    machine.until_ready()
    return f"ready {took:.1f} s after systemctl returned; {machine.property('StatusText')}"


def proxy(walk):
    """The package's site, with a certificate by ACME, whose authority is inside the chroot."""
    machine, page = walk.machine, walk.page
    certificates.start(machine)
    machine.person(page.command("sudo usermod -aG miniprogram caddy"))
    machine.write("/etc/caddy/Caddyfile", certificates.site(machine.run("cat /usr/share/miniprogram/Caddyfile")))
    machine.person(page.command("sudo systemctl restart caddy"))
    curl = page.command(f"curl https://{DOMAIN}/healthz")
    took = answers_over_tls(walk, curl)
    for port in (8787, 18789):
        code, said = machine.fails(f"ip netns exec {walk.phone.space} curl -sS --max-time 3 http://{walk.phone.host}:{port}/")
        claim(f"port {port} is closed from outside", code in (7, 28), f"{code} {said}")
    status, _, body = walk.phone.call("GET", "/readyz")
    claim("readiness is not public", status == 404, f"{status} {body}")
    return f"TLS after {took:.1f} s"


def answers_over_tls(walk, curl):
    """Returns the seconds until then. Until Caddy has its certificate, curl ends with an error."""
    last = {}

    def answered():
        last["said"] = walk.phone.curl(f"{curl} -sS", check=False).strip()
        return last["said"].startswith("{")

    try:
        return until("the service answers over TLS", 60, answered)[1]
    except Failure as failure:
        raise Failure(f"{failure}; curl says {last['said']}") from None


def read_only(walk):
    """Until a person opens it, no write runs."""
    walk.phone.log_in()
    request = request_id()
    status, _, body = walk.phone.send(request, "ledger_append", note="too early")
    ended = walk.phone.until_over(request)["status"] if status in (200, 202) else f"{status} {body.get('code')}"
    claim("a write does not succeed before the service was opened", ended in (OVER - {"succeeded"}) or ended.startswith(("4", "5")), ended)
    claim("it had no effect", walk.gateway.effects(walk.machine, "too early") == 0)
    walk.machine.person(walk.page.command("sudo miniprogram mode set full"))
    return f"a write: {ended}"


def first_job(walk):
    walk.jobs["first"] = walk.phone.until_open(note="two coffees")
    claim("it had one effect", walk.gateway.effects(walk.machine, "two coffees") == 1, walk.machine.run(f"cat {LEDGER}", check=False))
    listed = walk.phone.succeeds("ledger_read", limit=10)
    walk.answered("first")
    claim("no token and no secret is in the journal", not leaks(walk), leaks(walk))
    return f"{walk.jobs['first']} and the read {listed}"


def leaks(walk):
    """Which secret the units have logged."""
    logged = walk.machine.run("journalctl --no-pager --output=cat _SYSTEMD_UNIT=miniprogram.service + _SYSTEMD_UNIT=caddy.service")
    secrets = {"the app secret": APP_SECRET, "the gateway's token": walk.gateway.token, "a session": walk.phone.token}
    return [name for name, value in secrets.items() if value in logged]


def doctor(walk):
    """Everything that does not need the internet or a later step is well."""
    said = walk.machine.person(f"{walk.page.command('sudo miniprogram doctor')} --json", check=False)
    try:
        found = {line["check"]: line for line in json.loads(said)}
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"doctor prints no array: {said[:300]}") from error
    expected = {"backup timer", "watch timer", "backup"}
    failing = {name: line["reason"] for name, line in found.items() if line["state"] == "fail" and name not in expected}
    claim("doctor finds nothing else than what comes later", not failing, failing)
    claim("it misses the timers, which come later", expected - {"backup"} <= {n for n, line in found.items() if line["state"] != "ok"}, said)
    return f"{len(found)} checks, still to do: {', '.join(sorted(name for name, line in found.items() if line['state'] != 'ok'))}"


def exposure(walk):
    said = walk.machine.run("systemd-analyze security --no-pager --threshold=15 miniprogram.service", check=False)
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    claim("the exposure of the unit is at most 1.5", found and float(found[1]) <= 1.5, found and found[0])
    return found[1]
