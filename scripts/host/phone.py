"""A Mini Program on a phone: another address than the host's, through Caddy, over TLS."""

import datetime
import json

from mini_program import MiniProgram, request_id
from transcript import Failure, until

DOMAIN = "api.example.com"
AUTHORITY = "/srv/authority.pem"


class Phone(MiniProgram):
    """Its network namespace is inside the chroot, joined to it by a cable of its own."""

    Failure = Failure

    def __init__(self, machine, number, name):
        self.machine, self.number, self.name = machine, number, name
        self.space, self.token = f"phone{number}", None

    def connect(self):
        """After each boot."""
        host, own = f"198.51.100.{4 * self.number + 1}", f"198.51.100.{4 * self.number + 2}"
        self.machine.run(
            f"ip netns add {self.space} && ip link add ph{self.number} type veth peer name eth0 netns {self.space} "
            f"&& ip address add {host}/30 dev ph{self.number} && ip link set ph{self.number} up "
            f"&& ip -n {self.space} address add {own}/30 dev eth0 && ip -n {self.space} link set eth0 up "
            f"&& mkdir -p /etc/netns/{self.space} && echo '{host} {DOMAIN}' > /etc/netns/{self.space}/hosts"
        )
        self.host = host

    def curl(self, command, stdin="", check=True):
        """Runs a `curl` command as it stands, from the phone."""
        return self.machine.run(f"ip netns exec {self.space} env CURL_CA_BUNDLE={AUTHORITY} {command}", check, stdin)

    def call(self, method, path, body=None, **headers):
        """Returns the status, the headers and the body."""
        given = "".join(f" -H '{name.replace('_', '-')}: {value}'" for name, value in headers.items())
        if self.token:
            given += f" -H 'authorization: Bearer {self.token}'"
        data = " -H 'content-type: application/json' --data-binary @-" if body is not None else ""
        said = self.curl(
            f"curl -sS -i --http1.1 --max-time 30 -X {method}{given}{data} https://{DOMAIN}{path}",
            json.dumps(body) if body is not None else "",
        )
        head, _, text = said.replace("\r\n", "\n").partition("\n\n")
        first, *lines = head.splitlines()
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        try:
            return int(first.split()[1]), found, json.loads(text) if text.strip() else None
        except (IndexError, ValueError) as error:
            raise Failure(f"{method} {path} answers something else than JSON: {said[:200]}") from error

    def log_in(self):
        """Returns when the session ends, by the service's clock."""
        body = self.session(self.name)
        self.token = body["token"]
        return datetime.datetime.fromisoformat(body["expires_at"])

    def until_logged_in(self):
        """Waits until Caddy has its certificate."""
        health = f"curl -sSf https://{DOMAIN}/healthz"
        until("the service answers over TLS", 60, lambda: self.curl(health, check=False).startswith("{"))
        self.log_in()

    def until_open(self, ahead_s=0, **arguments):
        """Each part of the service takes a new mode within five seconds, and after a restore the bound of ids lies ten minutes ahead.
        Returns the job that was accepted then."""

        def accepted():
            request = request_id(ahead_s)
            status, _, body = self.send(request, "ledger_append", **arguments)
            waits = status == 410 and ahead_s or status == 403 and body["code"].startswith("mode_")
            if status != 202 and not waits:
                raise Failure(f"POST /v1/jobs answers {status} {body}")
            return request if status == 202 else None

        request, _ = until("the service is open", 15, accepted)
        return self.succeeded(request)

    def succeeds(self, tool, ahead_s=0, **arguments):
        """A job from its submission to its result. Returns its id."""
        return self.succeeded(self.submit(tool, ahead_s, **arguments))

    def succeeded(self, request):
        job = self.until_over(request)
        if job["status"] != "succeeded":
            raise Failure(f"job {request} ended as {job['status']}: {job.get('error') or job.get('reason')}")
        return request
