"""The operators' identity provider, as far as the service sees one: a key set under a URL, and tokens that one of its keys signs."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KID = "rehearsal-1"
LIFETIME_S = 3600


def text(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Issuer:
    """Serves its key set from this process, on loopback, until the process ends."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        listed = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KID, "x": text(public)}
        body = json.dumps({"keys": [listed]}).encode()

        class KeySet(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), KeySet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.jwks = f"{self.url}/jwks.json"

    def token(self, audience, subject, *roles):
        """A token of the kind that a provider gives out after a login."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": audience, "sub": subject, "name": subject, "iat": now, "nbf": now, "exp": now + LIFETIME_S, "roles": roles}
        parts = [text(json.dumps(part).encode()) for part in ({"alg": "EdDSA", "typ": "JWT", "kid": KID}, claims)]
        return ".".join([*parts, text(self.key.sign(".".join(parts).encode()))])
