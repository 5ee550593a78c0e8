"""A Mini Program, as far as a walk through the service needs one: it submits jobs and waits for their results."""

import json
import os
import time
import uuid

OVER = {"succeeded", "failed", "refused", "explained", "cancelled", "expired", "unknown"}


def request_id(ahead_s=0):
    """A UUIDv7, as the service asks for, of a phone whose clock is some seconds ahead."""
    stamp, random = int((time.time() + ahead_s) * 1000), int.from_bytes(os.urandom(10))
    return str(uuid.UUID(int=(stamp << 80) | (7 << 76) | ((random >> 68) << 64) | (2 << 62) | (random & ((1 << 62) - 1))))


class MiniProgram:
    """What each of them does over its own connection, which is `call`: it returns the status, the headers and the body. Where the
    service does not answer as it should, `Failure` is raised, the exception of the walk."""

    Failure = Exception

    def call(self, method, path, body=None, **headers):
        raise NotImplementedError

    def expect(self, status, method, path, body=None, **headers):
        """The body of a response that must have this status."""
        answered, _, answer = self.call(method, path, body, **headers)
        if answered != status:
            raise self.Failure(f"{method} {path} answers {answered} {answer}")
        return answer

    def session(self, name):
        """A new session of a user."""
        return self.expect(201, "POST", "/v1/sessions", {"code": f"dev-{name}"})

    def send(self, request, tool, **arguments):
        """Submits. 202 is a new job, 200 one that was known."""
        return self.call("POST", "/v1/jobs", {"tool": tool, "arguments": arguments}, idempotency_key=request)

    def submit(self, tool, ahead_s=0, **arguments):
        """A job that was accepted, by its request id."""
        request = request_id(ahead_s)
        self.expect(202, "POST", "/v1/jobs", {"tool": tool, "arguments": arguments}, idempotency_key=request)
        return request

    def job(self, request):
        return self.expect(200, "GET", f"/v1/jobs/{request}")

    def until_over(self, request, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(request)
            if job["status"] in OVER:
                return job
            if time.monotonic() > deadline:
                raise self.Failure(f"job {request} is still {job['status']} after {seconds} s")
            time.sleep(0.3)

    def audit(self, request, file):
        """The chain, as the service tells it, saved for an offline check."""
        body = self.expect(200, "GET", f"/v1/jobs/{request}/audit")
        file.write_text(json.dumps(body))
        return body
