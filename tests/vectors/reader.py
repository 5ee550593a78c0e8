"""JSON as docs/design/text.md says it is read, in Python: the client's reader, the foreign reader, and what is blank.
The canonical form and the strict reader are those of docs/design/verify_audit.py, which must not import other files."""
import importlib.util, pathlib, re, unicodedata

_FILE = pathlib.Path(__file__).parent.parent.parent / "docs" / "design" / "verify_audit.py"
_SPEC = importlib.util.spec_from_file_location("verify_audit", _FILE)
verify_audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(verify_audit)
canonical, strict, Refused = verify_audit.canonical, verify_audit.strict, verify_audit.Refused

_MAX_SAFE = 2**53 - 1
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4}))?", re.S)
_WHITE_SPACE = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


def client(data):
    """What a client sent."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise Refused("unicode") from None
    return strict(text, 32, most=_MAX_SAFE)


def foreign(data):
    """What a gateway, a tool or a model wrote."""
    text = data.decode(errors="replace") if isinstance(data, bytes) else data
    return strict(well_formed(text), 64)


def well_formed(text):
    """With U+FFFD for each escape of half a surrogate pair."""
    out, at = [], 0
    for found in iter(lambda: _ESCAPE.search(text, at), None):
        out.append(text[at : found.start()])
        unit = int(found[1], 16) if found[1] else 0
        low = _ESCAPE.match(text, found.end())
        pair = 0xD800 <= unit < 0xDC00 and low and low[1] and 0xDC00 <= int(low[1], 16) < 0xE000
        if pair:
            out.append(text[found.start() : low.end()])
            at = low.end()
        elif 0xD800 <= unit < 0xE000:
            out.append("\ufffd")
            at = found.end()
        else:
            # The character that is escaped may be a backslash itself.
            at = found.end() if found[1] else found.end() + 1
            out.append(text[found.start() : at])
    return "".join(out) + text[at:]


def omission(fault):
    return "too_deep" if str(fault) == "too_deep" else "unreadable"


def is_blank(text):
    return all(_WHITE_SPACE.match(c) or unicodedata.category(c) in ("Cc", "Cf") for c in text)
