#!/usr/bin/env python3
"""Verifies a job's audit chain, as GET /v1/jobs/{id}/audit answers with it, without a line of the service's own code:

    verify_audit.py ANSWER.json [--job REQUEST_ID | --chain NAME] [--arguments FILE] [--result FILE] [--user USER_ID]
        [--checkpoint FILE]...

The files hold the answer, what the job was given, what it returned, and checkpoints in their order. --job and --user say whose
chain it has to be; without them the answer is believed. Checkpoints' signatures are Ed25519, which Python's library does not have:
`local audit verify` checks those."""
import argparse, base64, decimal, hashlib, hmac, json, math, re, sys, uuid

class Refused(Exception):
    """JSON that parsers do not read alike."""

def strict(text, levels=64, most=math.inf):
    def members(pairs):
        names = [name for name, _ in pairs]
        if any(name == "__proto__" or name.startswith("$serde_json::private::") for name in names):
            raise Refused("poison_key")
        return dict(pairs) if len(set(names)) == len(pairs) else refuse("duplicate_key")
    def refuse(rule):
        raise Refused(rule)
    def number(digits, kind=float):
        value = kind(digits) if len(digits) < 17 else float(digits)
        return value if math.isfinite(value) and abs(value) <= most else refuse("number")
    level = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text, re.S):
        level += (mark in "[{") - (mark in "]}")
        level <= levels or refuse("too_deep")
    try:
        rules = {"object_pairs_hook": members, "parse_float": number, "parse_int": lambda digits: number(digits, int)}
        value = json.loads(text, parse_constant=lambda _: refuse("syntax"), **rules)
        canonical(value).encode()
    except UnicodeEncodeError:
        refuse("unicode")
    except ValueError:
        refuse("syntax")
    return value

def canonical(value):  # RFC 8785
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if not isinstance(value, float):
        return json.dumps(value, ensure_ascii=False)
    if abs(value) >= 1e21 or 0 < abs(value) < 1e-6:
        mantissa, exponent = repr(value).split("e")
        return f"{mantissa}e{int(exponent):+d}"
    digits = decimal.Decimal(repr(value))
    return str(int(digits)) if digits == int(digits) else format(digits, "f")

encoded = lambda digest: base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
decoded = lambda text: base64.urlsafe_b64decode(text + "=")
sha256 = lambda value: encoded(hashlib.sha256(canonical(value).encode()).digest())
need = lambda truth, fault: truth or sys.exit(f"FAULT {fault}")

def load(file):
    try:
        return strict(open(file, encoding="utf-8").read(), 128)
    except Refused as fault:
        sys.exit(f"FAULT {file} is not read alike by all: {fault}")

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["answer", "--chain", "--arguments", "--result", "--job", "--user", "--checkpoint"]:
        parser.add_argument(name, action="append" if name == "--checkpoint" else "store", type=str.lower if name in ["--job", "--user"] else str)
    args = parser.parse_args()
    answer, prev, digests = load(args.answer), encoded(bytes(32)), []
    field, owner = ("chain", args.chain) if args.chain else ("request_id", args.job or answer["request_id"])
    for place, record in enumerate(records := answer["records"], 1):
        fits = (record.get("key") or args.user or "").startswith(args.user or "")  # a call key begins with the user id
        fits = fits and type(record["seq"]) is int and (record["seq"], record.get(field)) == (place, owner)
        need(fits, f"record {place} is not the one that belongs there")
        need(record["prev"] == prev, f"record {place} does not follow from the one before")
        digests.append(prev := sha256(record))
    fits = digests and answer["head"] == {"length": len(digests), "digest": prev}
    need(fits, f"the chain does not end in its head: record {len(digests)} was changed, or records after it are missing")
    keyed = lambda value: encoded(hmac.digest(decoded(answer["digest_key"]), canonical(value).encode(), "sha256"))
    for name in [name for name in ["arguments", "result"] if getattr(args, name)]:
        for fits, seq in [(r.get(f"{name}_digest") in (None, keyed(load(getattr(args, name)))), r["seq"]) for r in records]:
            need(fits, f"record {seq} is not about this {name}")
    for record in records if args.user and args.arguments else []:
        bound = {"user_id": args.user, "request_id": owner, "step": record["step"], "round": 0, "tool": record["tool"]}
        fits = record["event"] != "approval_asked" or record["digest"] == keyed(bound | {"arguments": load(args.arguments)})
        need(fits, f"record {record['seq']} asks about something else")
    before, anchors = None, 0
    for checkpoint in map(load, args.checkpoint or []):
        need(before in (None, checkpoint["prev"]), f"checkpoint {checkpoint['seq']} does not follow from the one before")
        before = sha256(checkpoint)
        for head in checkpoint["heads"]:  # a support code is user id and request id
            named = decoded(head["job"]).endswith(b"".join(uuid.UUID(part).bytes for part in [args.user, owner] if part))
            fits = not named or [head["digest"]] == digests[head["length"] - 1 : head["length"]]
            need(fits, f"checkpoint {checkpoint['seq']} has signed another record {head['length']}")
            anchors += named
    print(f"ok: {len(digests)} records of {'chain' if args.chain else 'job'} {owner}, {anchors} anchors")

if __name__ == "__main__":
    main()
