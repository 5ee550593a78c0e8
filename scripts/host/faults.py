"""What happens to processes: killed, stopped, failed, and the whole host turned off and on."""

import json

from first_day import SINK
from mini_program import request_id
from phone import DOMAIN, Phone
from transcript import claim, until

WATCHDOG_S = 90
DROP_IN = "/run/systemd/system/miniprogram.service.d/walk.conf"


def steps(walk, is_quick):
    yield "kill -9", lambda: kill(walk)
    yield "kill -9 within a write", lambda: kill_within(walk)
    yield "two phones", lambda: two_phones(walk)
    if not is_quick:
        yield "full disk", lambda: full_disk(walk)
    yield "reboot", lambda: reboot(walk)


def slow_steps(walk):
    """The watch looks three minutes after a boot for the first time. Until then the watchdog is waited for."""
    yield "SIGSTOP", lambda: stop(walk)
    yield "watch restarts a failed service", lambda: watch_service(walk)
    yield "gateway ends with 78 twice, and is back", lambda: watch_gateway(walk)
    yield "gateway ends with 78 again and again, and a person is told", lambda: watch_gives_up(walk)
    yield "watch tells of a fault in the configuration", lambda: watch_tells(walk)


def main_process(walk):
    return walk.machine.property("MainPID")


def restarted(walk, before, seconds):
    """Waits until systemd has started another process, and that is ready."""
    _, took = until("systemd has started it again", seconds, lambda: main_process(walk) not in ("0", before))
    return took + walk.machine.until_ready(60)


def kill(walk):
    before = main_process(walk)
    walk.machine.run(f"kill -9 {before}")
    took = restarted(walk, before, 30)
    walk.answered("first")
    return f"ready {took:.1f} s later, the first job is answered as before"


def kill_within(walk):
    """Service, then gateway, while a tool runs: at most one effect, and an end."""
    machine, note = walk.machine, "killed in between"
    request, before = request_id(), main_process(walk)
    status, _, body = walk.phone.send(request, "ledger_sleep", ms=3000, note=note)
    claim("it is accepted", status == 202, f"{status} {body}")
    until("the tool runs", 20, lambda: walk.phone.job(request)["status"] == "running")
    machine.run(f"kill -9 {before}")
    walk.gateway.kill(machine)
    took = restarted(walk, before, 60) + walk.gateway.until_ready(machine)
    job = walk.phone.until_over(request, 240)
    effects = walk.gateway.effects(machine, note)
    claim("there is at most one effect", effects <= 1, effects)
    claim("the end fits the effect", job["status"] in ("succeeded", "unknown", "failed") and (effects or job["status"] != "succeeded"), job)
    walk.jobs["killed"] = request
    return f"ended as {job['status']} with {effects} effects, both ready {took:.1f} s later"


def stop(walk):
    before = main_process(walk)
    walk.machine.run(f"kill -STOP {before}")
    took = restarted(walk, before, 150)
    claim(f"it is restarted within {WATCHDOG_S} s", took <= WATCHDOG_S, f"{took:.0f} s")
    walk.answered("first")
    said = walk.machine.journal("miniprogram.service", 60)
    claim("systemd says that it was the watchdog", "atchdog" in said, said[-300:])
    return f"ready {took:.0f} s later"


def two_phones(walk):
    """The limit of logins is that of an address, which a header of the client does not change."""
    greedy, other = Phone(walk.machine, 2, "greedy"), Phone(walk.machine, 3, "other")
    for phone in (greedy, other):
        phone.connect()
    logins = "curl -sS -o /dev/null -w '%{http_code}\\n' -X POST -H 'content-type: application/json' -d '{\"code\":\"dev-greedy\"}'"
    said = greedy.curl(f"{logins} 'https://{DOMAIN}/v1/sessions#[1-90]'").split()
    claim("it gets in until its limit", said[0] == "201" and said[-1] == "429", said)
    spoofed = greedy.curl(f"{logins} -H 'X-Forwarded-For: 203.0.113.9' -H 'X-Real-IP: 203.0.113.9' https://{DOMAIN}/v1/sessions").strip()
    claim("a header does not change its address", spoofed == "429", spoofed)
    other.log_in()
    return f"one gets 429 after {said.index('429')} logins, the other gets in"


def full_disk(walk):
    """On a disk of 300 MiB, of which the service wants 200 free."""
    machine, data = walk.machine, "/var/lib/miniprogram"
    machine.run(
        f"systemctl stop miniprogram && rm -f {SINK} && mv {data} /srv/data && mkdir {data} && mount -t tmpfs -o size=300m,mode=700 tmpfs {data} "
        f"&& cp -a /srv/data/. {data}/ && chown miniprogram: {data} && systemctl start miniprogram"
    )
    machine.until_ready()
    machine.run(f"dd if=/dev/zero of={data}/fill bs=1M 2>/dev/null", check=False)
    until("readiness names the disk", 30, lambda: "disk_low" in str(machine.ready()))
    status, headers, body = walk.phone.send(request_id(), "ledger_append", note="no space")
    claim("a new job is refused early", status == 503 and headers.get("retry-after") == "60", f"{status} {headers} {body}")
    walk.answered("first")
    _, alarm = until("the webhook has the alarm", 150, lambda: "disk-low" in machine.run(f"cat {SINK} 2>/dev/null", check=False), 1)
    machine.run(f"rm {data}/fill")
    machine.until_ready(60)
    walk.phone.succeeds("ledger_append", note="space again")
    machine.run(f"systemctl stop miniprogram && rm -rf /srv/data/* && cp -a {data}/. /srv/data/ && umount {data} && rmdir {data} && mv /srv/data {data}")
    machine.run("systemctl start miniprogram && miniprogram audit verify --everything")
    machine.until_ready()
    return f"alarm after {alarm:.0f} s"


def reboot(walk):
    """Before any user logs in: the gateway's user has lingering."""
    machine = walk.machine
    machine.power_off()
    machine.boot()
    walk.phone.connect()
    gateway = walk.gateway.until_ready(machine)
    took = machine.until_ready(60)
    walk.answered("first")
    walk.jobs["rebooted"] = walk.phone.succeeds("ledger_append", note="after a reboot")
    return f"gateway {gateway:.1f} s and service {took:.1f} s after the boot"


def never_restarted(walk):
    """systemd gives up on the service at once, as after too many restarts."""
    walk.machine.write(DROP_IN, "[Service]\nRestart=no\n")
    walk.machine.run(f"systemctl daemon-reload && kill -9 {main_process(walk)}")
    until("the unit has failed", 10, lambda: walk.machine.property("ActiveState") == "failed")
    walk.machine.run(f"rm {DROP_IN} && systemctl daemon-reload")


def watch_service(walk):
    machine = walk.machine
    machine.person(walk.page.command("sudo systemctl enable --now miniprogram-watch.timer"))
    never_restarted(walk)
    _, took = until("the watch has restarted it", 260, lambda: machine.property("ActiveState") == "active", 1)
    took += machine.until_ready(60)
    walk.answered("first")
    return f"{took:.0f} s"


def look(walk):
    """One run of the watch, as its timer starts it each minute. More than five within ten seconds would be refused."""
    walk.machine.run("systemctl reset-failed miniprogram-watch.service; systemctl start miniprogram-watch.service", check=False)


def told(walk, name):
    """The states of an alarm in the messages to the webhook."""
    lines = walk.machine.run(f"cat {SINK} 2>/dev/null", check=False).splitlines()
    return [alarm["state"] for line in lines for alarm in json.loads(line)["alarms"] if alarm["name"] == name]


def watch_gateway(walk):
    """OpenClaw ends with 78 when its start was disturbed, and systemd does not start it again. Twice: the watch brings it back."""
    machine, gateway = walk.machine, walk.gateway
    machine.run(f"rm -f {SINK}")
    before = gateway.starts(machine)
    gateway.end_with(machine, 78, 2)
    until("the gateway's unit has failed", 30, lambda: gateway.state(machine) == "failed")
    _, took = until("the watch has started it again", 90, lambda: gateway.starts(machine) > before + 1, 1)
    until("it has ended with 78 once more", 30, lambda: gateway.state(machine) == "failed")
    look(walk)
    took += gateway.until_ready(machine)
    claim("two restarts were enough", gateway.starts(machine) == before + 3, gateway.starts(machine) - before)
    claim("no alert is sent", not told(walk, "gateway-stays-down"), told(walk, "gateway-stays-down"))
    machine.until_ready(60)
    return f"{took:.0f} s"


def watch_gives_up(walk):
    """A gateway that ends with 78 at each start: one restart is left of three in half an hour, then a person is told, once."""
    machine, gateway = walk.machine, walk.gateway
    before = gateway.starts(machine)
    gateway.end_with(machine, 78, 10)
    until("the gateway's unit has failed", 30, lambda: gateway.state(machine) == "failed")
    for _ in range(6):
        look(walk)
        until("it has ended with 78 once more", 30, lambda: gateway.state(machine) == "failed")
    claim("it was started by systemd and once by the watch", gateway.starts(machine) == before + 2, gateway.starts(machine) - before)
    claim("the webhook has the alert once", told(walk, "gateway-stays-down") == ["alarm"], told(walk, "gateway-stays-down"))
    gateway.is_repaired(machine)
    gateway.restart(machine)
    look(walk)
    claim("and once that it is over", told(walk, "gateway-stays-down") == ["alarm", "ok"], told(walk, "gateway-stays-down"))
    machine.until_ready(60)
    return "two starts, one alert"


def watch_tells(walk):
    machine = walk.machine
    machine.run(f"cp -p /etc/miniprogram/config.toml /srv/config.toml && rm -f {SINK}")
    machine.run("echo '[unknown]' >> /etc/miniprogram/config.toml && systemctl restart miniprogram", check=False)
    until("the service ends with 78", 15, lambda: machine.property("ExecMainStatus") == "78")
    claim("systemd does not start it again", machine.property("ActiveState") == "failed", machine.property("ActiveState"))
    _, took = until("the webhook has the alert", 90, lambda: told(walk, "service-stays-down"), 1)
    machine.run("cp -p /srv/config.toml /etc/miniprogram/config.toml && systemctl start miniprogram")
    machine.until_ready()
    return f"{took:.0f} s"
