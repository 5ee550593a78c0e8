"""A version whose table engine has migrated the table, and the way back from it."""

import json

from gateway import HERE
from transcript import claim, until
from versions import changed, version, version_of

TABLE = "/var/lib/miniprogram/table.db"
LATER = "99"


def sqlite(walk, statement, method):
    """By Node's own SQLite: the chroot has no other."""
    script = f"const t = new (require('node:sqlite').DatabaseSync)('{TABLE}'); console.log(JSON.stringify(t.prepare(process.argv[1]).{method}()))"
    return walk.machine.run(f'{HERE}/.local/openclaw/bin/node -e "{script}" "{statement}"').strip()


def schema(walk):
    return json.loads(sqlite(walk, "SELECT value FROM _config WHERE key = 'schema_version'", "get"))["value"]


def downgrade(walk):
    """No later table engine exists, so its mark stands for it: both the rollback and the old program go by that alone."""
    machine, phone = walk.machine, walk.phone
    changed(walk, f"sudo miniprogram upgrade ./{walk.second_package.name}")
    lost = phone.succeeds("ledger_append", ahead_s=598, note="after the migration")
    before = schema(walk)
    sqlite(walk, f"UPDATE _config SET value = '{LATER}' WHERE key = 'schema_version'", "run")
    code, said = machine.fails("miniprogram rollback")
    claim("rollback refuses, and names the way", code == 1 and "rollback --restore" in said, f"{code} {said}")
    claim("nothing has changed", version(walk) == "99.0.0" and machine.ready()["ready"], version(walk))

    machine.person(f"sudo apt install --allow-downgrades ./{walk.first_package.name}")
    until("the old program says that it cannot read the table", 30, lambda: "schema" in machine.journal("miniprogram.service", 10))
    claim("it does not serve it", not machine.ready(), machine.ready())
    claim("and has not changed it", schema(walk) == LATER, schema(walk))

    machine.person("sudo miniprogram rollback --restore")
    claim("the table is that of the backup", schema(walk) == before, schema(walk))
    claim("by the version of before", version(walk) == version_of(walk.first_package), version(walk))
    claim("it is closed", machine.ready().get("mode") == "closed", machine.ready())
    machine.run("miniprogram mode set full --reason 'went back over a migration'")
    phone.until_open(ahead_s=598, note="before the migration again")
    walk.answered("first")
    status, _, body = phone.send(lost, "ledger_append", note="after the migration")
    claim("a lost request is refused", (status, body.get("code")) == (410, "request_id_expired"), f"{status} {body}")
    claim("and has one effect", walk.gateway.effects(machine, "after the migration") == 1)
    machine.run("miniprogram audit verify --everything")
    return f"schema {before} again"
