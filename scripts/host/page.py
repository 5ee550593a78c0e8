"""The commands of docs/start/lighthouse.md. The walk types them as they stand, and says which it has not typed."""

import re

from transcript import Failure

FENCE = re.compile(r"^ *```sh\n(.*?)^ *```", re.M | re.S)
INLINE = re.compile(r"`((?:sudo|curl|miniprogram) [^`]+)`")
# Not typed by the walk, by how they begin, and why.
ELSEWHERE = {
    "make console": "the walk's package has no console",
    "make package": "the walk gives it a program that is built already",
    "sudo miniprogram setup": "this walk does the same steps by hand; `make host ARGS=--setup` types it beside OpenClaw",
}


class Page:
    def __init__(self, file):
        text = file.read_text()
        blocks = [line.strip() for block in FENCE.findall(text) for line in block.splitlines()]
        inline = INLINE.findall(FENCE.sub("", text))
        self.name = file.name
        self.commands = [line for line in dict.fromkeys(blocks + inline) if line and not line.startswith("#")]
        self.typed = set()

    def command(self, start):
        """The command that is this, or the one that begins like this."""
        found = [start] if start in self.commands else [command for command in self.commands if command.startswith(start)]
        if len(found) != 1:
            raise Failure(f"{self.name} has {len(found)} commands that begin with `{start}`")
        self.typed.add(found[0])
        return found[0]

    def untyped(self):
        return [command for command in self.commands if command not in self.typed and not command.startswith(tuple(ELSEWHERE))]
