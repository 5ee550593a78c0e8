#!/usr/bin/env python3
"""Writes text.json and chains.json: the expected results of every JSON and text reader of this repository.

    generate.py            writes both
    generate.py --check    fails when they are not what it would write

What a vector expects is known from how it was made, not from a reader: a value is chosen first and then spelt. The seed is
fixed, so the same vectors come out every time. docs/design/text.md says what each field means."""
import base64, copy, hashlib, json, pathlib, random, sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
from reader import canonical  # noqa: E402

SEED = 20260101
RAW_VALUE, NUMBER, PROTO = "$serde_json::private::RawValue", "$serde_json::private::Number", "__proto__"
dice = random.Random(SEED)


def vector(name, text, client, foreign, **more):
    """`client` and `foreign` are canonical JSON, or (word, reason)."""
    verdict = lambda said: {said[0]: said[1]} if isinstance(said, tuple) else {"canonical": said}
    spelt = {"hex": text.hex()} if isinstance(text, bytes) else {"text": text}
    return {"name": name, **spelt, "client": verdict(client), "foreign": verdict(foreign), **more}


refused = lambda rule: ("refused", rule)
omitted = lambda reason: ("omitted", reason)
UNREADABLE, DEEP = omitted("unreadable"), omitted("too_deep")
nested = lambda depth, inner="": "[" * depth + inner + "]" * depth
in_objects = lambda depth, inner="{}": '{"a":' * (depth - 1) + inner + "}" * (depth - 1)


def picked():
    yield vector("an object", ' {"b":1.0,"a":"\\u00e9"} ', '{"a":"é","b":1}', '{"a":"é","b":1}')
    for text, shown in [("null", "null"), ("true", "true"), ('""', '""'), ("[]", "[]"), ("{}", "{}"), ("-0", "0"),
                        ("-0.0", "0"), ("1.0", "1"), ("1e2", "100"), ("0.1", "0.1"), ("1E-7", "1e-7"), ("5e-324", "5e-324"),
                        ("0.000001", "0.000001"), ("9007199254740991", "9007199254740991"),
                        ("-9007199254740991", "-9007199254740991"), ("4.5e15", "4500000000000000"),
                        ('"\\u2028\\u2029"', '"\u2028\u2029"'), ('"\\u0000\\u001f"', '"\\u0000\\u001f"'),
                        ('"\\/\\b\\f\\n\\r\\t\\"\\\\"', '"/\\b\\f\\n\\r\\t\\"\\\\"'), ('"\x7f\ufeff"', '"\x7f\ufeff"'),
                        ('"\\ud83d\\ude00"', '"😀"'), ('"😀"', '"😀"'), ('"\\\\ud83d"', '"\\\\ud83d"'),
                        ('"e\\u0301"', '"e\u0301"'), ('{"":0}', '{"":0}'), ('{"a":1,"A":2}', '{"A":2,"a":1}'),
                        ('{"\U0001f600":1,"\ufb33":2}', '{"\U0001f600":1,"\ufb33":2}'), ('{"proto":1,"_proto__":2}', '{"_proto__":2,"proto":1}'),
                        ('{"$from":1}', '{"$from":1}'), ('{"constructor":1,"toString":2}', '{"constructor":1,"toString":2}'),
                        ('{"$serde_json":1,"$serde_json::private":2}', '{"$serde_json":1,"$serde_json::private":2}'),
                        ('["__proto__","$serde_json::private::RawValue"]', '["__proto__","$serde_json::private::RawValue"]')]:
        yield vector(f"accepted {text[:30]}", text, shown, shown)
    for text in ["", " ", "{", "}", "[", "[1,]", "[,1]", "{,}", '{"a":1,}', "{a:1}", "{'a':1}", '{"a"}', '{"a":}', '{"a" 1}', "NaN",
                 "Infinity", "-Infinity", "undefined", "01", "-01", "+1", "1.", ".5", "1e", "-", "0x10", "1_000", "{} {}", "[] 1",
                 '"a', 'a"', '"\n"', '"\t"', '"\x00"', '"\\x41"', '"\\u12"', '"\\u12G4"', '"\\a"', "\ufeff{}", "\u00a0{}", "{}\x0b", "// a\n1",
                 "/* a */ 1", "tru", "nul", "True", "[1 2]", '{"a":1 "b":2}', "[1;2]", '["a":1]', "\u2028{}"]:
        yield vector(f"no JSON {text[:20]!r}", text, refused("syntax"), UNREADABLE)
    for text, shown in [('"\\ud83d"', '"\ufffd"'), ('"half \\ud83d"', '"half \ufffd"'), ('"\\ude00"', '"\ufffd"'),
                        ('"\\ude00\\ud83d"', '"\ufffd\ufffd"'), ('"\\ud83d\\ud83d\\ude00"', '"\ufffd😀"'),
                        ('"\\ud83d\\ude00\\ude00"', '"😀\ufffd"'), ('"\\uD83Dx"', '"\ufffdx"'), ('"\\ud83d\\n"', '"\ufffd\\n"'),
                        ('"\\ud83d\\\\ude00"', '"\ufffd\\\\ude00"'), ('"\\\\\\ud83d"', '"\\\\\ufffd"'), ('["\\udfff",{"a":"\\ud800"}]', '["\ufffd",{"a":"\ufffd"}]')]:
        yield vector(f"half a pair {text}", text, refused("unicode"), shown)
    yield vector("half a pair in a key", '{"a\\ud83d":1}', refused("unicode"), '{"a\ufffd":1}', escaped_key=True)
    yield vector("two keys that become one", '{"\\ud83d":1,"\\ud83e":2}', refused("unicode"), UNREADABLE, escaped_key=True)
    for bytes_, shown in [(b'"\xff"', '"\ufffd"'), (b'"a\xc3"', '"a\ufffd"'), (b'"\xe2\x82"', '"\ufffd"'), (b'"\xc0\xaf"', '"\ufffd\ufffd"'),
                          (b'"\xed\xa0\xbd"', '"\ufffd\ufffd\ufffd"'), (b'"\xf0\x9f\x98"', '"\ufffd"'), (b'{"a\x80":1}', '{"a\ufffd":1}'),
                          (b'"\xf4\x90\x80\x80"', '"\ufffd\ufffd\ufffd\ufffd"')]:
        yield vector(f"no UTF-8 {bytes_!r}", bytes_, refused("unicode"), shown)
    for text in ['{"a":1,"a":2}', '{"a":1,"a":1}', '{"x":{"a":1,"b":2,"a":3}}', '[{"a":[],"a":{}}]', '{"":1,"":2}']:
        yield vector(f"a key twice {text}", text, refused("duplicate_key"), UNREADABLE, text_only=True)
    yield vector("a key twice, spelt twice", '{"a":1,"\\u0061":2}', refused("duplicate_key"), UNREADABLE, text_only=True, escaped_key=True)
    for key in [RAW_VALUE, NUMBER, "$serde_json::private::", "$serde_json::private::anything", PROTO]:
        for text in [f'{{"{key}":"[1]"}}', f'[{{"a":{{"{key}":null}}}}]', f'{{"a":1,"{key}":{{}}}}']:
            yield vector(f"a poison key {text}", text, refused("poison_key"), UNREADABLE)
        spelt = "\\u%04x" % ord(key[0]) + key[1:]
        yield vector(f"a poison key {spelt}", f'{{"{spelt}":1}}', refused("poison_key"), UNREADABLE, escaped_key=True)
    for text, shown in [("9007199254740992", "9007199254740992"), ("-9007199254740993", "-9007199254740992"),
                        ("12345678901234567890", "12345678901234567000"), ("123456789012345678901234567890", "1.2345678901234568e+29"),
                        ("1e300", "1e+300"), ("-1e300", "-1e+300"), ("1.7976931348623157e308", "1.7976931348623157e+308"), ("1e21", "1e+21"),
                        ("18446744073709551615", "18446744073709552000"), ("-9223372036854775808", "-9223372036854776000")]:
        yield vector(f"a number {text}", text, refused("number"), shown)
    for text in ["1e309", "-1e309", "[1e999]", "1" * 400]:
        # No double holds them, and readers fail before they can say why.
        yield vector(f"no double {text[:20]}", text, refused("number"), UNREADABLE, text_only=True)
    for depth in [1, 16, 31, 32]:
        yield vector(f"{depth} lists", nested(depth), nested(depth), nested(depth))
        yield vector(f"{depth} objects", in_objects(depth), in_objects(depth), in_objects(depth))
    for depth in [33, 40, 63, 64]:
        yield vector(f"{depth} lists", nested(depth), refused("too_deep"), nested(depth))
        yield vector(f"{depth} objects", in_objects(depth), refused("too_deep"), in_objects(depth))
    for depth in [65, 66, 100, 127, 128, 129, 150, 900]:
        yield vector(f"{depth} lists", nested(depth), refused("too_deep"), DEEP)
        yield vector(f"{depth} objects", in_objects(depth), refused("too_deep"), DEEP)
    mixed = '{"a":[' * 32 + "1" + "]}" * 32
    yield vector("64 levels of both kinds", mixed, refused("too_deep"), mixed)
    yield vector("65 levels of both kinds", f"[{mixed}]", refused("too_deep"), DEEP)


# What is written raw, by an escape, or both.
LETTERS = ["a", "Z", "0", " ", "é", "茶", "😀", "\u2028", "\u00a0", "\u200d", "\ufeff", '"', "\\", "/", "\n", "\t", "\x01", "e\u0301", "\U0010ffff", "$"]
WHOLE = [0, 1, -1, 7, 255, 2**31, -(2**31) - 1, 2**53 - 1, 1 - 2**53]
BROKEN = [0.5, -0.25, 1e-7, 123.456, 0.1, -1e-9, 3.0, 1e15]


def chosen_text(most=6):
    return "".join(dice.choice(LETTERS) for _ in range(dice.randrange(most)))


def chosen(depth=0):
    kind = dice.randrange(4 if depth > 4 else 7)
    if kind == 0:
        return dice.choice([None, True, False])
    if kind == 1:
        return dice.choice(WHOLE)
    if kind == 2:
        return dice.choice(BROKEN)
    if kind == 3:
        return chosen_text()
    if kind == 4:
        return [chosen(depth + 1) for _ in range(dice.randrange(4))]
    # Keys need no escape: V8 13.6 misreads those that have one.
    keys = ["".join(dice.choice("abcXYZ_$é茶") for _ in range(dice.randrange(1, 5))) for _ in range(dice.randrange(4))]
    return {key: chosen(depth + 1) for key in keys}


def spelt_text(text):
    out = ""
    for c in text:
        units = c.encode("utf-16-be").hex()
        escape = "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))
        must = c in '"\\' or c < " "
        out += escape if must or dice.random() < 0.3 else c
    return f'"{out}"'


def blank():
    return dice.choice(["", "", " ", "\n", "\t", "\r\n "])


def spelt(value):
    if isinstance(value, str):
        return spelt_text(value)
    if isinstance(value, list):
        return "[" + ",".join(blank() + spelt(item) + blank() for item in value) + (blank() if not value else "") + "]"
    if isinstance(value, dict):
        members = list(value.items())
        dice.shuffle(members)
        return "{" + ",".join(f'{blank()}"{key}"{blank()}:{blank()}{spelt(item)}{blank()}' for key, item in members) + "}"
    if isinstance(value, int) and not isinstance(value, bool) and dice.random() < 0.2:
        return f"{value}.0" if abs(value) < 2**40 else str(value)
    return json.dumps(value)


def generated():
    for number in range(90):
        value = chosen()
        yield vector(f"generated {number}", blank() + spelt(value) + blank(), canonical(value), canonical(value))
    for number in range(30):
        value, half = [chosen(2), chosen(2)], dice.choice(["\\ud800", "\\udbff", "\\udc00", "\\uDFFF", "\\ud83d"])
        before, after = chosen_text(), dice.choice(["", "x", "é", "\n"])
        text = f"[{spelt(value)},{spelt_text(before)[:-1]}{half}{spelt_text(after)[1:]}]"
        shown = canonical([value, f"{before}\ufffd{after}"])
        yield vector(f"generated half a pair {number}", text, refused("unicode"), shown)
    for number in range(20):
        value = {"a": chosen(2), "b": chosen(2)}
        poison = dice.choice([RAW_VALUE, NUMBER, PROTO, "$serde_json::private::x"])
        text = f'[{spelt(value)},{{"k":{spelt(chosen(3))},"{poison}":{spelt(chosen(3))}}}]'
        yield vector(f"generated poison key {number}", text, refused("poison_key"), UNREADABLE)
    for number in range(20):
        key = dice.choice(["a", "é", "😀", "key"])
        text = f'{{"x":{{"{key}":{spelt(chosen(3))},"y":{spelt(chosen(3))},"{key}":{spelt(chosen(3))}}}}}'
        yield vector(f"generated key twice {number}", text, refused("duplicate_key"), UNREADABLE, text_only=True)
    for number in range(20):
        value, depth = dice.choice([None, 1, "x"]), dice.randrange(33, 140)
        opened = [dice.choice("[{") for _ in range(depth)]
        text = "".join('{"k":' if c == "{" else "[" for c in opened) + json.dumps(value)
        text += "".join("}" if c == "{" else "]" for c in reversed(opened))
        yield vector(f"generated depth {depth} {number}", text, refused("too_deep"), text if depth <= 64 else DEEP)


def blanks():
    yield from [("", True), (" ", True), ("\t\r\n", True), ("\u00a0", True), ("\u3000", True), ("\u1680", True), ("\u2007", True), ("\u202f", True),
                ("\u2028\u2029", True), ("\u0085", True), ("\x00", True), ("\x1b", True), ("\x7f", True), ("\u009f", True), ("\u00ad", True), ("\u0600", True),
                ("\u061c", True), ("\u180e", True), ("\u200b", True), ("\u200c\u200d", True), ("\u200e\u200f", True), ("\u202a\u202e", True), ("\u2060", True),
                ("\u2066\u2069", True), ("\ufeff", True), ("\ufff9", True), ("\U000110bd", True), ("\U0001bca0", True), ("\U0001d173", True), ("\U000e0001", True),
                ("\U000e0020\U000e007f", True), (" \ufeff\u200b ", True)]
    yield from [(".", False), ("a", False), (" a ", False), ("\u200ba", False), ("\ufeff.", False), ("\u0300", False), ("\u034f", False), ("\u115f", False),
                ("\u3164", False), ("\uffa0", False), ("\u2800", False), ("\ufe0f", False), ("\ue000", False), ("\u0378", False), ("\U000f0000", False),
                ("\ufffd", False), ("😀", False), ("茶", False), ("\u00a0\u00a1", False), ("0", False)]
    unseen = [" ", "\t", "\u200b", "\ufeff", "\u00ad", "\u3000", "\x00", "\u2060", "\u2028"]
    for _ in range(20):
        text = "".join(dice.choice(unseen) for _ in range(dice.randrange(1, 8)))
        yield text, True
        place = dice.randrange(len(text) + 1)
        yield text[:place] + dice.choice(["x", "é", "😀", "\u0301"]) + text[place:], False


def lengths():
    yield from [("", 0), ("a", 1), ("é", 1), ("e\u0301", 2), ("茶", 1), ("😀", 1), ("👨\u200d👩\u200d👧", 5), ("\U0010ffff", 1), ("\ufeff", 1), ("🇨🇳", 2), ("\r\n", 2)]
    for _ in range(15):
        letters = [dice.choice(["a", "é", "茶", "😀", "\U00020000", "\u0301"]) for _ in range(dice.randrange(30))]
        yield "".join(letters), len(letters)


def cuts():
    for _ in range(20):
        letters = [dice.choice(["a", "é", "茶", "😀", "\U00020000"]) for _ in range(dice.randrange(1, 12))]
        most = dice.randrange(14)
        yield {"text": "".join(letters), "at_most": most, "cut": "".join(letters[:most])}


def digest(record):
    return base64.urlsafe_b64encode(hashlib.sha256(canonical(record).encode()).digest()).rstrip(b"=").decode()


def chain(field, name, events):
    records, prev = [], "A" * 43
    for seq, event in enumerate(events, 1):
        record = {"v": 1, field: name, "seq": seq, "at": f"2026-01-01T00:00:0{seq}.000Z", "actor": "worker", "event": event, "tool": "t\u00fc", "prev": prev}
        records.append(record)
        prev = digest(record)
    return records, {"length": len(records), "digest": prev}


def chains():
    job, other = "019a8f3c-7e10-7abc-9def-0123456789ab", "019a8f3c-7e10-7abc-9def-0123456789ac"
    user = "5b1fcc9e-1188-479b-a991-ec74025cc2d2"
    whose = {"request_id": job}
    good, head = chain("request_id", job, ["accepted", "intended", "ended"])
    theirs, their_head = chain("request_id", other, ["accepted", "intended", "ended"])

    def case(name, fault, place, records=good, head=head, owner=whose):
        return {"name": name, "owner": owner, "records": records, "head": head, "fault": fault, "place": place}

    def changed(change, fault, place, name):
        records, end = copy.deepcopy(good), dict(head)
        change(records, end)
        return case(name, fault, place, records, end)

    def put(place, field, value):
        return lambda records, _: records[place].__setitem__(field, value)

    yield case("a good chain", None, None)
    yield case("the whole chain of another job, with its head", "misplaced", 1, theirs, their_head)
    yield case("this chain, asked for as another job's", "misplaced", 1, owner={"request_id": other})
    yield case("this chain, asked for as a side chain", "unreadable", 1, owner={"chain": "operators"})
    for place in range(3):
        fault, seen = ("head", 3) if place == 2 else ("unlinked", place + 2)
        yield changed(put(place, "tool", "other"), fault, seen, f"record {place + 1} changed")
        yield changed(put(place, "extra", 1), fault, seen, f"a field added to record {place + 1}")
        yield changed(lambda records, _, place=place: records[place].pop("actor"), fault, seen, f"a field taken from record {place + 1}")
        yield changed(put(place, "request_id", other), "misplaced", place + 1, f"record {place + 1} given to another job")
        yield changed(put(place, "seq", place + 2), "misplaced", place + 1, f"record {place + 1} numbered otherwise")
        yield changed(put(place, "prev", "B" * 42 + "E"), "unlinked", place + 1, f"record {place + 1} linked to another")
    yield changed(lambda records, _: records.pop(0), "misplaced", 1, "the first record missing")
    yield changed(lambda records, _: records.pop(1), "misplaced", 2, "a record missing in the middle")
    yield changed(lambda records, _: records.pop(), "head", 2, "the last record missing")
    yield changed(lambda records, _: records.reverse(), "misplaced", 1, "the records the other way round")
    yield changed(lambda records, _: records.insert(1, records[0]), "misplaced", 2, "a record twice")
    yield changed(lambda records, _: records.extend(theirs), "misplaced", 4, "another job's records behind it")
    yield changed(lambda records, _: records.__setitem__(1, theirs[1]), "misplaced", 2, "another job's record in it")
    yield changed(lambda _, end: end.update(digest="C" * 42 + "E"), "head", 3, "another digest in the head")
    yield changed(lambda _, end: end.update(length=4), "head", 3, "a longer head")
    yield changed(lambda _, end: end.update(length=2), "head", 3, "a shorter head")
    yield changed(lambda _, end: end.update(their_head), "head", 3, "another job's head")
    for name in ["operators", f"refusals:{user}"]:
        records, end = chain("chain", name, ["mode_set", "mode_set"])
        yield case(f"a good chain of {name.split(':')[0]}", None, None, records, end, {"chain": name})
        yield case(f"{name.split(':')[0]}, asked for as another's", "misplaced", 1, records, end, {"chain": f"refusals:{job}"})


def written(value):
    lines = lambda items: "[\n" + ",\n".join("    " + json.dumps(item, ensure_ascii=True) for item in items) + "\n  ]"
    return "{\n" + ",\n".join(f'  "{name}": {lines(items)}' for name, items in value.items()) + "\n}\n"


def main():
    text = {
        "json": [*picked(), *generated()],
        "blank": [{"text": text, "blank": is_blank} for text, is_blank in blanks()],
        "length": [{"text": text, "code_points": count} for text, count in lengths()],
        "cut": list(cuts()),
    }
    for name, value in [("text.json", text), ("chains.json", {"chains": list(chains())})]:
        file, whole = HERE / name, written(value)
        if "--check" in sys.argv[1:]:
            file.read_text(encoding="utf-8") == whole or sys.exit(f"{name} is not what generate.py writes")
        else:
            file.write_text(whole, encoding="utf-8")
        print(name, {part: len(items) for part, items in value.items()})


if __name__ == "__main__":
    main()
