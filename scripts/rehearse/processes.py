"""The programs that the rehearsal starts, each in a process group of its own, and how all of them are stopped."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

from stack import Failure


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return True
    except OSError:
        return False


class Processes:
    def __init__(self, directory):
        self.directory = directory
        self.running = []

    def start(self, name, command, environment, stdin=None, stdout=None):
        """Starts a program in a new session, so that Ctrl-C reaches us alone and we stop things in order."""
        log = (self.directory / f"{name}.log").open("wb")
        process = subprocess.Popen(
            command, cwd=self.directory, env=environment, start_new_session=True, stdin=stdin or subprocess.DEVNULL, stdout=stdout or log, stderr=log
        )
        log.close()
        self.running.append((name, process))
        return process

    def wait_for(self, name, process, url, seconds):
        deadline = time.monotonic() + seconds
        while not answers(url):
            if process.poll() is not None:
                raise Failure(f"{name} ended by itself with {process.returncode}; read {self.directory / (name + '.log')}")
            if time.monotonic() > deadline:
                raise Failure(f"{name} does not answer after {seconds} s; read {self.directory / (name + '.log')}")
            time.sleep(0.2)

    def stop(self):
        """Stops all, the last one first, with their child processes."""
        while self.running:
            self._stop(self.running.pop()[1])

    def stop_one(self, name):
        """Stops one of them, with its child processes."""
        found = next(one for one in self.running if one[0] == name)
        self.running.remove(found)
        self._stop(found[1])

    def _stop(self, process):
        if process.stdin:
            process.stdin.close()
        self._end(process, signal.SIGTERM, 20)
        self._end(process, signal.SIGKILL, 10)

    @staticmethod
    def _end(process, sign, seconds):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


def read_event(stream, name):
    """Reads the events of the gateway's script, one JSON line each."""
    for line in stream:
        event = json.loads(line)
        if event["event"] == name:
            return event
        if event["event"] == "exited":
            break
    raise Failure("the gateway ended before it was ready")
