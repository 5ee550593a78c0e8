"""A Mini Program, as far as the rehearsal needs one."""

import json
import os
import time
import uuid

from stack import Failure, fetch

OVER = {"succeeded", "failed", "refused", "explained", "cancelled", "expired", "unknown"}


def request_id():
    """A UUIDv7, as the service asks for."""
    stamp, random = int(time.time() * 1000), int.from_bytes(os.urandom(10))
    return str(uuid.UUID(int=(stamp << 80) | (7 << 76) | ((random >> 68) << 64) | (2 << 62) | (random & ((1 << 62) - 1))))


class Client:
    def __init__(self, url, name):
        self.url, self.name = url, name
        status, _, body = fetch(f"{url}/v1/sessions", "POST", body={"code": f"dev-{name}"})
        if status != 201:
            raise Failure(f"POST /v1/sessions answers {status} {body}")
        self.headers = {"authorization": f"Bearer {body['token']}"}

    def get(self, path):
        return fetch(f"{self.url}{path}", headers=self.headers)

    def send(self, request, tool, **arguments):
        """Submits; 202 is a new job, 200 a replay."""
        headers = {**self.headers, "idempotency-key": request}
        return fetch(f"{self.url}/v1/jobs", "POST", headers, {"tool": tool, "arguments": arguments})

    def approve(self, request, digest, code=None):
        """The user's approval, with a fresh login code."""
        body = {"decision": "approve", "digest": digest, "code": code or f"dev-{self.name}"}
        status, _, answer = fetch(f"{self.url}/v1/jobs/{request}/approval", "POST", self.headers, body)
        return status, answer

    def submit(self, tool, **arguments):
        """A job that was accepted, by its request id."""
        request = request_id()
        status, _, body = self.send(request, tool, **arguments)
        if status != 202:
            raise Failure(f"POST /v1/jobs answers {status} {body}")
        return request

    def job(self, request):
        status, _, body = self.get(f"/v1/jobs/{request}")
        if status != 200:
            raise Failure(f"GET /v1/jobs/{request} answers {status} {body}")
        return body

    def until_over(self, request, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(request)
            if job["status"] in OVER:
                return job
            if time.monotonic() > deadline:
                raise Failure(f"job {request} is still {job['status']} after {seconds} s")
            time.sleep(0.3)

    def audit(self, request, file):
        """The chain, as the service tells it, saved for an offline check."""
        status, _, body = self.get(f"/v1/jobs/{request}/audit")
        if status != 200:
            raise Failure(f"GET /v1/jobs/{request}/audit answers {status} {body}")
        file.write_text(json.dumps(body))
        return body
