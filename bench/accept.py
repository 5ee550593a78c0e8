#!/usr/bin/env python3
"""Compares one accepted submission of the service with the same by two peers, and a poll of the service.

    cargo lambda build --release --output-format zip      # cargo-lambda is on PyPI
    cargo build --workspace --bin local                   # the engines
    python3 bench/accept.py                               # installs the peers, locked, under .local/bench

The peers: Powertools for AWS Lambda (Python) with boto3, and Powertools for AWS Lambda (TypeScript) with Middy, bundled by
esbuild. Each verifies the session, caps and validates the body, charges a rate, keeps an idempotent record and enqueues. The
service besides evaluates policy and groups, keeps the payload apart, writes an audit record and metrics. Every system gets the
same runtime API, engines, sessions and event, each event from another user: one user's open jobs would grow, and the service
verifies a token's signature once. A poll is one of a token that was seen before. Requests and write units are counted in runs of
their own. Times are those of this machine; only ratios of one run say something.
"""
import json, os, pathlib, statistics, subprocess, sys

from runtime_api import Function, cpu_per_event
from service import ROOT, UNLIMITED, Engines, http_event, log_in, request_id, unpack

BENCH = ROOT / ".local/bench"
PEERS = ROOT / "bench/peers"
STARTS, WARM, ACCEPTS, ROUNDS, PRIMED, COUNTED = 5, 50, 400, 8, 3, 20
# One for each accept of a system, so that each token is new to the process.
USERS = STARTS + WARM + ACCEPTS + PRIMED + COUNTED


def install():
    """Both peers, by their lock files, and the bundle. Goes on in the Python of the first one, which has botocore."""
    python = BENCH / "python/bin/python"
    subprocess.run([ROOT / "scripts/dev/venv.sh", BENCH / "python", "bench"], check=True, cwd=ROOT)
    if pathlib.Path(sys.prefix).resolve() != (BENCH / "python").resolve():
        os.execv(python, [str(python), *sys.argv])
    subprocess.run([ROOT / "scripts/dev/bench-node.sh"], check=True, cwd=ROOT)


def created(env):
    """The tables of the peers, as their documentation asks for: one key, on demand."""
    import boto3
    keys = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    table = boto3.client("dynamodb", region_name=env["AWS_REGION"], endpoint_url=env["AWS_ENDPOINT_URL_DYNAMODB"], **keys)
    names = {}
    for peer in ("python", "node"):
        for use in ("IDEMPOTENCY_TABLE", "RATE_TABLE"):
            name = f"{peer}-{use.lower().replace('_', '-')}"
            table.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                               AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
            names.setdefault(peer, {})[use] = name
    return names


class System:
    """One system: how its process is started, and with which environment."""

    def __init__(self, name, command, env):
        self.name, self.command, self.env = name, command, env

    def start(self, env=None):
        return Function(self.name, self.command, env or self.env)


def systems(engines, folder):
    env = engines.env | UNLIMITED
    keys = [{"kid": key["kid"], "public": key["public"]} for key in engines.secrets()["sessions"]["keys"]]
    schemas = {"ledger_append": json.loads((ROOT / "policy/schemas/note.json").read_text())}
    # A peer gets no secret of the service, and no path to one.
    own = {name: env[name] for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_DYNAMODB",
                                        "AWS_ENDPOINT_URL_SQS", "QUEUE_URL", "SESSION_ISSUER", "SESSION_AUDIENCE")}
    own |= {"SESSION_KEYS": json.dumps(keys), "TOOL_SCHEMAS": json.dumps(schemas), "RATE_PER_MINUTE": "100000",
            "AWS_DEFAULT_REGION": env["AWS_REGION"], "POWERTOOLS_SERVICE_NAME": "accept", "AWS_EC2_METADATA_DISABLED": "true"}
    tables = created(env)
    node = ROOT / ".local/openclaw/bin/node"
    return [
        System("edge-auth", [folder / "edge-auth/bootstrap"], env),
        System("Powertools for Python", [BENCH / "python/bin/python", "-B", PEERS / "python/bootstrap.py"], own | tables["python"]),
        System("Powertools for TypeScript", [node, BENCH / "node/bundle.mjs"], own | tables["node"]),
    ]


def binaries():
    """The service's functions. They may have been built without `--release`, so that their sizes are printed."""
    BENCH.mkdir(parents=True, exist_ok=True)
    for name in ("edge-auth", "status"):
        zipped, unzipped = unpack(name)
        print(f"{name}: {unzipped:.1f} MB, zipped {zipped:.1f} MB")
    return ROOT / "target/lambda"


class Submissions:
    """Events, each of another user and with a new id."""

    def __init__(self, tokens):
        self.tokens, self.made = tokens, []

    def next(self):
        token, identity = self.tokens[len(self.made)], request_id()
        self.made.append((token, identity))
        return http_event("submit.json", token, identity)

    def some(self, count):
        return [self.next() for _ in range(count)]


def computed(systems, submissions):
    """CPU milliseconds of an accept and memory, by system. They take turns, so that a slow minute of the machine falls on each."""
    functions = {system.name: system.start() for system in systems}
    for name, function in functions.items():
        cpu_per_event(function, submissions[name].some(WARM), 202)
    cpu = {name: 0 for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            cpu[name] += cpu_per_event(function, submissions[name].some(ACCEPTS // ROUNDS), 202) / ROUNDS
    memory = {name: function.rss_mb() for name, function in functions.items()}
    for function in functions.values():
        function.stop()
    return {name: {"cpu": cpu[name] * 1000, "memory": memory[name]} for name in functions}


def measured(system, submissions):
    """Start and first event, then requests and units, of one system."""
    from counting import Counted
    inits, firsts = [], []
    for _ in range(STARTS):
        function = system.start()
        took = function.invoke(submissions.next())[1]
        inits.append(function.init_ms)
        firsts.append(function.init_ms + took)
        function.stop()
    counted = Counted(system.env)
    function = system.start(counted.env)
    cpu_per_event(function, submissions.some(PRIMED), 202)  # what is cached is read
    counted.clear()
    cpu_per_event(function, submissions.some(COUNTED), 202)
    function.stop()
    return {"init": statistics.median(inits), "first": statistics.median(firsts),
            "requests": counted.requests.total() / COUNTED, "units": counted.units["write"] / COUNTED}


def accepts(systems, submissions):
    rows = computed(systems, submissions)
    for system in systems:
        rows[system.name] |= measured(system, submissions[system.name])
    own = rows[systems[0].name]
    print("| accept | CPU ms | requests | write units | start ms | first answer ms | memory MB |\n|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['cpu']:.2f} | {row['requests']:.2f} | {row['units']:.2f} | {row['init']:.0f} | {row['first']:.0f} | {row['memory']:.1f} |")
    print("\n| as a multiple of edge-auth | CPU | first answer | memory |\n|---|---|---|---|")
    for name, row in list(rows.items())[1:]:
        print(f"| {name} | {row['cpu'] / own['cpu']:.1f} | {row['first'] / own['first']:.1f} | {row['memory'] / own['memory']:.1f} |")


def polls(folder, env, known):
    """A poll of a job that is queued: 200, and 304 with the revision that the client has."""
    from counting import Counted
    print("\n| poll | CPU ms | requests |\n|---|---|---|")
    for status in (200, 304):
        headers = {"if-none-match": '"1"'} if status == 304 else {}
        events = [http_event("get-job.json", token, identity, **headers) for token, identity in known]
        for event in events:
            # The sample is a long poll.
            event["rawQueryString"] = ""
            event.pop("queryStringParameters", None)
        function = Function("status", [folder / "status/bootstrap"], env)
        cpu_per_event(function, events, status)
        cpu = cpu_per_event(function, events[-ACCEPTS:], status)
        function.stop()
        counted = Counted(env)
        function = Function("status", [folder / "status/bootstrap"], counted.env)
        cpu_per_event(function, events[:COUNTED], status)
        function.stop()
        print(f"| {status} | {cpu * 1000:.2f} | {counted.requests.total() / COUNTED:.2f} |")


def main():
    install()
    folder = binaries()
    print()
    engines = Engines()
    try:
        load = os.getloadavg()[0]
        all_systems = systems(engines, folder)
        edge = all_systems[0].start()
        tokens = [log_in(edge, f"bench-{n}")["token"] for n in range(USERS)]
        edge.stop()
        submissions = {system.name: Submissions(tokens) for system in all_systems}
        accepts(all_systems, submissions)
        polls(folder, engines.env | UNLIMITED, submissions["edge-auth"].made)
        print(f"\n{ACCEPTS} events, each of another user; load average {load:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores.")
    finally:
        engines.stop()


if __name__ == "__main__":
    main()
