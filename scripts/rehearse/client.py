"""A Mini Program that calls the deployed service."""

from mini_program import MiniProgram
from stack import Failure, fetch


class Client(MiniProgram):
    Failure = Failure

    def __init__(self, url, name):
        self.url, self.name, self.token = url, name, None
        self.token = self.session(name)["token"]

    def call(self, method, path, body=None, **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            given["authorization"] = f"Bearer {self.token}"
        return fetch(f"{self.url}{path}", method, given, body)

    def approve(self, request, digest, code=None):
        """The user's approval, with a fresh login code."""
        body = {"decision": "approve", "digest": digest, "code": code or f"dev-{self.name}"}
        status, _, answer = self.call("POST", f"/v1/jobs/{request}/approval", body)
        return status, answer
