#!/usr/bin/env python3
"""Verifies a job's audit chain, as GET /v1/jobs/{id}/audit answers with it, without a line of the service's own code:

    verify_audit.py ANSWER.json [--arguments FILE] [--result FILE] [--user USER_ID] [--checkpoint FILE]...

The files hold the answer, what the job was given, what it returned, and checkpoints in their order. Their signatures
are Ed25519, which Python's library does not have: `local audit verify` checks those."""
import argparse, base64, decimal, hashlib, hmac, json, sys, uuid

def canonical(value):  # RFC 8785
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if abs(value) >= 1e21 or 0 < abs(value) < 1e-6:
        mantissa, exponent = repr(value).split("e")
        return f"{mantissa}e{int(exponent):+d}"
    return str(int(value)) if value == int(value) else format(decimal.Decimal(repr(value)), "f")

encoded = lambda digest: base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
decoded = lambda text: base64.urlsafe_b64decode(text + "=")
sha256 = lambda value: encoded(hashlib.sha256(canonical(value).encode()).digest())
load = lambda file: json.load(open(file, encoding="utf-8"))
need = lambda truth, fault: truth or sys.exit(f"FAULT {fault}")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ["answer", "--arguments", "--result", "--user", "--checkpoint"]:
    parser.add_argument(name, action="append" if name == "--checkpoint" else "store")
args = parser.parse_args()
answer, prev, digests = load(args.answer), encoded(bytes(32)), []
job, records = answer["request_id"], answer["records"]
for place, record in enumerate(records, 1):
    need((record["seq"], record["request_id"]) == (place, job), f"record {place} is not the one that belongs there")
    need(record["prev"] == prev, f"record {place} does not follow from the one before")
    digests.append(prev := sha256(record))
fits = digests and answer["head"] == {"length": len(digests), "digest": prev}
need(fits, f"the chain does not end in its head: record {len(digests)} was changed, or records after it are missing")
keyed = lambda value: encoded(hmac.digest(decoded(answer["digest_key"]), canonical(value).encode(), "sha256"))
for name in [name for name in ["arguments", "result"] if getattr(args, name)]:
    for record in records:
        fits = record.get(f"{name}_digest") in (None, keyed(load(getattr(args, name))))
        need(fits, f"record {record['seq']} is not about this {name}")
for record in records if args.user and args.arguments else []:
    bound = {"user_id": args.user, "request_id": job, "step": record["step"], "round": 0, "tool": record["tool"]}
    fits = record["event"] != "approval_asked" or record["digest"] == keyed(bound | {"arguments": load(args.arguments)})
    need(fits, f"record {record['seq']} asks about something else")
before, anchors = None, 0
for checkpoint in map(load, args.checkpoint or []):
    need(before in (None, checkpoint["prev"]), f"checkpoint {checkpoint['seq']} does not follow from the one before")
    before = sha256(checkpoint)
    for head in checkpoint["heads"]:  # a support code is user id and request id
        named, place = uuid.UUID(bytes=decoded(head["job"])[16:]) == uuid.UUID(job), head["length"]
        fits, anchors = not named or digests[place - 1 : place] == [head["digest"]], anchors + named
        need(fits, f"checkpoint {checkpoint['seq']} has signed another record {place}")
print(f"ok: {len(digests)} records of job {job}, {anchors} anchors")
