"""Policy by folder and reload, backup, a lost disk, and the restore."""

import json
from concurrent.futures import ThreadPoolExecutor

from faults import main_process, restarted
from first_day import LATER
from gateway import JOURNAL
from mini_program import request_id
from transcript import claim, until

POLICY = "/etc/miniprogram/policy"
# Jobs that are submitted at once: as many as a user may have open, and fewer than the burst of submissions.
LOAD = 12


def policy_steps(walk):
    yield "broken policy keeps the old one", lambda: broken_policy(walk)
    yield "new tool by folder and reload", lambda: new_tool(walk)


def steps(walk):
    yield "backup by its timer", lambda: backup(walk)
    yield "backup under load, then kill -9", lambda: loaded_backup(walk)
    yield "lost disk", lambda: lose(walk)
    yield "restore", lambda: restore(walk)
    yield "after the restore", lambda: reopened(walk)


def policy_version(walk):
    return walk.machine.ready()["policy_version"]


def broken_policy(walk):
    machine, before = walk.machine, policy_version(walk)
    machine.run(f"cp -p {POLICY}/tools.toml /srv/before.toml && echo 'nonsense' >> {POLICY}/tools.toml")
    code, said = machine.fails("miniprogram reload")
    claim("the fault has a file and a line", code != 0 and "tools.toml" in said, f"{code} {said}")
    machine.fails("systemctl reload miniprogram")
    # Signalled all the same, as a reload that came between two copies of files.
    machine.run(f"kill -HUP {machine.property('MainPID')}")
    until("the log says that it was not reloaded", 15, lambda: "not reloaded" in machine.journal("miniprogram.service", 40))
    claim("the old policy stays", policy_version(walk) == before)
    walk.answered("first")
    machine.run(f"cp -p /srv/before.toml {POLICY}/tools.toml")
    return said.splitlines()[0]


def new_tool(walk):
    machine = walk.machine
    status, _, body = walk.phone.send(request_id(), LATER, note="once")
    claim("the tool is not there yet", status in (403, 404, 422), f"{status} {body}")
    machine.run(f"cp -p /srv/tools.toml /srv/tools.cedar {POLICY}/ && miniprogram config check")
    walk.gateway.configure(machine, json.loads(machine.run(f"miniprogram policy guard --dir {POLICY}")))
    walk.gateway.restart(machine)
    pid, before = machine.property("MainPID"), policy_version(walk)
    said = machine.run("miniprogram reload").strip()
    claim("it is another policy", policy_version(walk) != before, said)
    claim("in the same process", machine.property("MainPID") == pid)
    walk.jobs["new tool"] = walk.phone.succeeds(LATER, note="once")
    return f"policy {policy_version(walk)}"


def backups(walk):
    return walk.machine.run("ls /var/backups/miniprogram/*.tar 2>/dev/null", check=False).split()


def backup(walk):
    """The timer's unit, started by systemd, and the command of the page."""
    machine, page = walk.machine, walk.page
    machine.person(page.command("sudo systemctl enable --now miniprogram-backup.timer"))
    machine.run("systemctl start miniprogram-backup.service")
    claim("there is one backup", len(backups(walk)) == 1, backups(walk))
    machine.person(page.command("sudo miniprogram backup create"))
    claim("there is another", len(backups(walk)) == 2, backups(walk))
    newest = backups(walk)[-1]
    said = machine.run(f"miniprogram backup verify {newest}")
    claim("it has the gateway's journal", "no journal" not in said, said)
    mode = machine.run(f"stat -c '%a %U' {newest}").split()
    claim("only root can read it", mode == ["600", "root"], mode)
    return said.strip()


def loaded_backup(walk):
    """The backup that will be restored: made while jobs are submitted and run, and the service is killed at once after it."""
    machine, phone = walk.machine, walk.phone
    requests = [request_id() for _ in range(LOAD)]

    def submit(number):
        return phone.send(requests[number], "ledger_sleep", ms=200, note=f"load {number}")[0]

    before = main_process(walk)
    with ThreadPoolExecutor(LOAD) as pool:
        sent = [pool.submit(submit, number) for number in range(LOAD)]
        made = machine.run("miniprogram backup create")
        machine.run(f"kill -9 {before}")
        answers = [one.result() for one in sent]
    restarted(walk, before, 30)
    claim("each was accepted, or not answered", set(answers) <= {202, 502, 503, None}, answers)
    for number, request in enumerate(requests):
        # What was not answered is sent again, as a phone does.
        phone.send(request, "ledger_sleep", ms=200, note=f"load {number}")
        job = phone.until_over(request, 240)
        claim("it ends", job["status"] in ("succeeded", "unknown"), job)
    walk.load = dict(enumerate(requests))
    walk.backup = backups(walk)[-1]
    said = machine.run(f"miniprogram backup verify {walk.backup}")
    claim("it is whole", said.startswith("ok: "), said)
    walk.jobs["after the backup"] = phone.succeeds("ledger_append", note="after the backup")
    return f"{answers.count(202)} of {LOAD} were answered before the kill; {made.strip().splitlines()[0]}"


def lose(walk):
    """The data directory is gone; the backups are on another disk, and so is the gateway's journal."""
    machine = walk.machine
    machine.run("systemctl stop miniprogram-watch.timer miniprogram && rm -rf /var/lib/miniprogram/* /var/lib/miniprogram/.[!.]*")
    return f"{len(backups(walk))} backups are left"


def restore(walk):
    machine = walk.machine
    said = machine.run(f"miniprogram restore {walk.backup}")
    claim("every chain is whole", "every chain is whole" in said, said)
    claim("the newer journal stays", f"{JOURNAL} has every call since the backup" in said, said)
    owners = machine.run("find /var/lib/miniprogram ! -user miniprogram")
    claim("all of it belongs to the service", not owners.strip(), owners)
    machine.run("systemctl start miniprogram miniprogram-watch.timer")
    until("the service answers", 60, machine.ready)
    claim("it is closed", machine.ready().get("mode") == "closed", machine.ready())
    return said.splitlines()[1]


def reopened(walk):
    """What the backup knows is answered, what it does not know is refused, and neither has a second effect."""
    machine, phone = walk.machine, walk.phone
    walk.answered("first")
    machine.run('miniprogram mode set full --reason "restored after a lost disk"')
    # The clock of this phone is just as far ahead as is allowed, so its ids are of after the bound.
    phone.until_open(ahead_s=598, note="after the restore")
    status, headers, body = phone.send(walk.jobs["first"], "ledger_append", note="two coffees")
    claim("a known id is answered as always", (status, body["status"]) == (200, "succeeded"), f"{status} {body}")
    status, _, body = phone.send(walk.jobs["after the backup"], "ledger_append", note="after the backup")
    claim("an id of after the backup is refused", (status, body.get("code")) == (410, "request_id_expired"), f"{status} {body}")
    known = 0
    for number, request in walk.load.items():
        status, _, body = phone.send(request, "ledger_sleep", ms=200, note=f"load {number}")
        claim("a request of the load is answered or refused", status == 200 or (status, body.get("code")) == (410, "request_id_expired"), f"{status} {body}")
        known += status == 200
        if status == 200:
            phone.until_over(request)
        effects = walk.gateway.effects(machine, f"load {number}", "sleep_start")
        claim("it has run at most once", effects <= 1, effects)
    for note in ("two coffees", "after the backup", "after a reboot"):
        claim(f"`{note}` had one effect", walk.gateway.effects(machine, note) == 1, walk.gateway.effects(machine, note))
    verified = machine.run("miniprogram audit verify --everything").strip().splitlines()[-1]
    return f"{verified}; the backup knew {known} of {len(walk.load)} jobs of the load"
