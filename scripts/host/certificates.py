"""An authority with ACME inside the chroot, so that Caddy obtains its certificate as it does on the internet."""

import json

from phone import AUTHORITY, DOMAIN
from transcript import until

DIRECTORY = "https://127.0.0.1:14000/dir"
OWN = "/srv/pebble"
CONFIG = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": f"{OWN}.crt",
        "privateKey": f"{OWN}.key",
        "httpPort": 80,
        "tlsPort": 443,
    }
}


def start(machine):
    """Starts it, and lets phones trust what it signs. It has another root after each start, and Caddy keeps its certificate."""
    machine.write(f"{OWN}.json", json.dumps(CONFIG))
    machine.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout {OWN}.key -out {OWN}.crt -subj /CN=localhost "
        f"-addext subjectAltName=IP:127.0.0.1 2>/dev/null && echo '127.0.0.1 {DOMAIN}' >> /etc/hosts"
    )
    unit = f"[Service]\nEnvironment=PEBBLE_VA_NOSLEEP=1\nExecStart=/usr/bin/pebble -config {OWN}.json\n\n[Install]\nWantedBy=multi-user.target\n"
    machine.write("/etc/systemd/system/pebble.service", unit)
    machine.run("systemctl daemon-reload && systemctl start pebble")
    root = f"curl -sSf -k https://127.0.0.1:15000/roots/0 > {AUTHORITY} && echo yes"
    until("the authority answers", 20, lambda: machine.run(root, check=False).strip() == "yes")


def site(caddyfile):
    """The package's file, with this authority in place of the public one."""
    return caddyfile.replace("{\n", f"{{\n\tacme_ca {DIRECTORY}\n\tacme_ca_root {OWN}.crt\n", 1)
