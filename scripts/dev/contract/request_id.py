import secrets
import time
import uuid


def request_id():
    """A UUIDv7 of now."""
    bits = (int(time.time() * 1000) << 80) | (7 << 76) | (secrets.randbits(12) << 64) | (2 << 62) | secrets.randbits(62)
    return str(uuid.UUID(int=bits))
