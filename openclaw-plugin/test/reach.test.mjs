import assert from "node:assert/strict";
import os from "node:os";
import { test } from "node:test";
import { Reach } from "../reach.js";
import { Mini } from "./support/mini.mjs";

const env = { OPENCLAW_STATE_DIR: "/srv/openclaw", OPENCLAW_CONFIG_PATH: "/etc/openclaw.json" };
const reach = new Reach({ db: "/var/lib/journal.db", env });

const INSIDE = [
  // The gateway's own machine, in the ways that the URL standard reads an address.
  "http://127.0.0.1/", "http://127.1:18789/tools/invoke", "http://0x7f.1/", "http://017700000001", "http://2130706433/",
  "http://0/", "http://0.0.0.0:80", "http://%31%32%37.0.0.1/", "http://１２７.０.０.１/", "http://127。0。0。1/",
  "http://localhost", "HTTP://LOCALHOST.:8080/x", "http://a.localhost/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]",
  "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::]/", "http://someone:word@127.0.0.1/",
  "http://example.com@127.0.0.1/", "http://a.b,c@127.0.0.1/", "http://'a.b <@127.0.0.1/", "http:\\\\127.0.0.1\\x", "http:127.0.0.1", "https:/127.0.0.1/",
  "http:// 127.0.0.1/", "http://\u00a0127.0.0.1/", "\u00a0http://127.0.0.1",
  "http:// /127.0.0.1", "https:// \\127.0.0.1", "http://\u3000/nas.local", "\u00a0\0http:127.0.0.1", "\ufeff\u0001http:/127.0.0.1",
  "\n\n \t\0https:[::1]", "//127.1/", "http://localhost.localdomain/", "http://kubernetes.default.svc/",
  "ht\ntp://127.0.\t0.1/", " \u0000http://127.0.0.1", "\u0000http:127.0.0.1", "http:///127.0.0.1", "ws://127.0.0.1", "gopher://0x7f.1:6379/_FLUSHALL",
  "redis://127.0.0.1", "127.0.0.1", "127.0.0.1:18789/miniprogram/v1/invoke", "localhost:18789", "//127.0.0.1/x", "::1", "[::1]:80",
  // Private and link-local networks.
  "http://10.0.0.1", "http://172.16.5.4/", "http://172.31.255.255", "http://192.168.1.1/", "http://100.64.0.1/",
  "http://198.18.0.1", "http://224.0.0.1", "http://255.255.255.255", "http://[fc00::1]/", "http://[fe80::1]/",
  "http://[2002:7f00:1::]/", "http://[2001:0:7f00:1::]/", "http://[64:ff9b::7f00:1]/", "http://router/", "http://nas.local",
  "http://printer.lan", "http://box.home.arpa/",
  // Metadata services, which give a machine in a cloud its credentials.
  "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://100.100.100.200/", "http://169.254.0.23/",
  "http://168.63.129.16/", "http://metadata.google.internal/", "http://metadata.tencentyun.com/", "metadata.google.internal/computeMetadata",
  // In a text, in a list, and behind another address.
  "look at http://localhost:3000/ and tell", "(http://127.0.0.1)", "[x](http://127.0.0.1)", "http://127.0.0.1\nand more",
  "http://example.com,http://127.0.0.1", "https://example.com/?to=http://127.0.0.1/",
  // Paths of OpenClaw's state.
  "/srv/openclaw/openclaw.json", "/srv/openclaw", "/SRV/OpenClaw/credentials", "/srv/openclaw/./agents/../openclaw.json",
  "/etc/openclaw.json", "/var/lib/journal.db", "/var/lib/journal.db-wal", "/proc/self/environ", "file:///etc/hosts",
  "FILE:/etc/hosts", "\u0001file:/etc/hosts", "fi\nle:/etc/hosts", "@/srv/openclaw/openclaw.json", "@../x", "@~/.openclaw/openclaw.json",
  "MEDIA: /srv/openclaw/x", "/srv/openclaw/workspaces.json", "/srv/openclaw/workspace-attestations/a", "/srv/openclaw/..x",
  // Paths with expansions, and files next to the state folder.
  "$HOME/.openclaw/openclaw.json", "${HOME}/.openclaw", "$OPENCLAW_STATE_DIR", "${OPENCLAW_STATE_DIR}/credentials", "${HOME:-/root}/x",
  "$(echo ~)/.openclaw/openclaw.json", "%USERPROFILE%\\.openclaw", "~root/.openclaw/openclaw.json", "~user/notes.md", "~+/openclaw.json",
  "@~root/.openclaw", "MEDIA:$HOME/a.png", " $home/.openclaw", "/srv/data/gateway/gateway.token", "gateway.token", "data/secrets.json",
  "/srv/data/SECRETS.json", "secrets.json.bak", "secrets.json~", "/srv/data/gateway/gateway.log", "/tmp/openclaw/openclaw-2026-11-28.log",
  "../openclaw.json", "memory/../../openclaw.json", "notes\\..\\..\\x",
  // With something behind the name, in quotes, in pieces, and behind another word of a command.
  "gateway.token/.", "gateway.token/", "data/secrets.json//./", "/srv/openclaw/openclaw.json/.",
  '"$HOME"/.openclaw', "'/srv/openclaw/openclaw.json'", "$'/srv/openclaw/x'", "/srv/open\"\"claw/x", "/srv/open\\claw/x",
  "$'/srv/\\x6fpenclaw/x'", '"/srv/openclaw"/x', "~0/.openclaw", "~1/x", "~-/x", "$env:HOME/.openclaw", "$env:OPENCLAW_STATE_DIR/openclaw.json",
  "$ENV:APPDATA\\x", "${env:HOME}/x", `$${"A".repeat(200)}/x`, `~${"a".repeat(200)}/x`, "$1/x", "$@/x", "${1}/x", "$HOME$X/y", ".openclaw/openclaw.json", "root/.openclaw/credentials",
  ".openclaw", "/home/other/.openclaw-dev/openclaw.json", ".clawdbot/x", "MEDIA: media:/srv/openclaw/x", "media:media:@/srv/openclaw/x",
  "-f/srv/openclaw/x", "--file=/srv/openclaw/x", "cat /srv/openclaw/x", "cat\n/srv/openclaw/x", "cat '/srv/openclaw/x'", "-f../x", "cat ../x",
  "cat ~/.openclaw/x", "tar -C/proc/self environ", "cat $HOME/.openclaw/x", "cat $OPENCLAW_CONFIG_PATH", "if=/etc/openclaw.json", "-d@/etc/openclaw.json",
  "cat data/gateway.token", "host:/srv/openclaw/x", "open file:///etc/hosts", "a,/srv/openclaw/x;b", "`cat /srv/openclaw/x`", "ls>/srv/openclaw/x",
  // Addresses with a zone, inside another scheme, and without one.
  "http://[::1%25lo]", "http://[fe80::1%25eth0]", "http://[fe80::1%eth0]:80/", "http://a@[::1%25lo]/", "fe80::1%eth0", "[::1%25lo]:80",
  "jar:http://127.0.0.1!/x", "view-source:http://10.0.0.1*", "127.1:80", "0x7f.1:80/x", "2130706433:80", "017700000001:8080", "0x7f000001:80", "10.1:8080",
  "3232235777:80", "192.168.257:80", "host.docker.internal", "host.docker.internal:80/x", "HOST.docker.internal.", "nas.local:8080", "db.internal:5432", "gateway:18789", "gateway:18789/tools/invoke",
  "curl 127.1:80", "curl localhost:18789/x", "--url=127.0.0.1:80", "curl host.docker.internal/x", "openclaw:18791",
];
const OUTSIDE = [
  "https://example.com/", "https://example.com:8443/a?b=c#d", "http://8.8.8.8/", "http://[2606:4700::1111]/", "http://172.32.0.1",
  "https://localhost.example.com/", "https://internal.example.com", "example.com", "10", "10.5", "2130706433", "1.2.3", "",
  "a note: nothing", "localhosts are many", "metadata", "see // here", "either/or", "12:30", "id:10", "a::z",
  "/srv/openclaw/workspace/notes.md", "/srv/openclaw/workspace-clerk/notes.md", "/srv/other", "memory/2026-11-23.md", "...", "1..2", "{}", "metadata.json", "metadata.name", "File: a report",
  "$5/month", "$AAPL", "$HOME", "~root", "~10/day", "100%/x", "$ 5", "my secrets.json is lost", "https://example.com/secrets.json", "gateway.tokens",
  "a secret", "tokens", "secrets.jsonl", "openclaw.logic",
  "127.1", "10.5:1", "10:30", "10:30:15", "it is 10:30", "2130706433 items", "1:2", "16777216", "4.5:30", "8.8:80", "order:1234", "page:12/30", "id:10 x",
  "1.2.3:80", "settings.local", "com.example.internal", "example.com:443", "my.internals", "http://[2606:4700::1111%25x]/", "jar:https://example.com!/x",
  "$5/month for 3 users", "at $12/user/month", "$1/2", "~1/2 cup", "~5/week", "costs ~10/day", "a/b c/d", "say \"hello\" 'there'", "it's $5's", "5' / 6'", "-f/srv/other",
  "cat /srv/other/x", "cat /srv/openclaw/workspace/notes.md", "~/.openclaw/workspace/a.md", ".openclaw/workspace/a.md", "the .openclaw folder", "see https://example.com/secrets.json",
  "https://example.com/.openclaw/x", "a.. b", "wait .. what", "100%/x and 5%/y", "path: /srv/other", "file / folder", "2026/11/29", "and/or", "w/o", "C:\\Users\\me",
  "media://inbound/a.jpg", "wxfile://usr/a.png", "weixin://dl/business", "cloud://env/a.png", "/var/lib/journal.dbx", "/dev/null", "/process",
];

test("an address or a file inside is found however it is written", () => {
  assert.deepEqual(INSIDE.filter((text) => !reach.isInside({ url: text })), []);
});

const PIECES = [
  ..."://\\@?#.%()[],;{|'\"<>-_!$&*+=\t\n \0", "http", "HTTPS", "ws", "a", "example.com", ":80", "%31", "１", "。", "\u00ad", "\u200b",
  "127.0.0.1", "0x7f.1", "10.0.0.1", "169.254.169.254", "localhost", "[::1]",
];
const SCHEMES = ["", "http:", "https:", "http://", "HTTPS:/", " wss:\\", "ftp://"];
const isOwn = (host) => /^(?:127|10)\.\d+\.\d+\.\d+$|^169\.254\.\d+\.\d+$|^localhost\.?$|^\[::1\]$/.test(host);

/** The same numbers each time (a linear congruential generator, with the constants of Numerical Recipes). */
function* numbers(seed) {
  for (let at = seed; ; ) yield (at = (Math.imul(at, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

test("whatever the URL standard reads as an address inside is found, in random spellings", () => {
  const random = numbers(7);
  const one = (list) => list[Math.floor(random.next().value * list.length)];
  let found = 0;
  for (let at = 0; at < 200_000; at += 1) {
    const text = [one(SCHEMES), ...Array.from({ length: 1 + (at % 6) }, () => one(PIECES))].join("");
    const url = URL.parse(text);
    if (url === null || !/^(?:https?|wss?|ftp):$/.test(url.protocol) || !isOwn(url.hostname)) continue;
    found += 1;
    assert.equal(reach.isInside(text), true, JSON.stringify(text));
  }
  assert.ok(found > 2000, `${found}`);
});

test("external addresses and texts that are no address pass", () => {
  assert.deepEqual(OUTSIDE.filter((text) => reach.isInside({ url: text })), []);
});

test("every value and every name of the arguments is checked, and only texts are", () => {
  for (const args of [{ a: [{ b: ["http://127.0.0.1"] }] }, { "http://127.0.0.1": 1 }, ["/etc/openclaw.json"]]) {
    assert.equal(reach.isInside(args), true);
  }
  for (const args of [{}, [], null, undefined, { limit: 1, all: true, none: null }]) assert.equal(reach.isInside(args), false);
});

test("without a state folder of its own it is the one in the home folder", () => {
  const usual = new Reach({ env: {} });
  const moved = new Reach({ db: "j.db", env: { OPENCLAW_HOME: "/srv/h", OPENCLAW_STATE_DIR: " ~/oc ", OPENCLAW_CONFIG_PATH: "~/c.json" } });
  for (const text of ["/srv/h/oc/x", "~/oc/x", "/srv/h/c.json", "/srv/h/.clawdbot/x", `${process.cwd()}/j.db-wal`]) {
    assert.equal(moved.isInside(text), true, text);
  }
  for (const text of ["~/.openclaw/openclaw.json", `${os.homedir()}/.openclaw/agents`, "~/.openclaw"]) {
    assert.equal(usual.isInside(text), true, text);
  }
  for (const text of ["~/.openclaw/workspace/a.md", "~/other", "~"]) assert.equal(usual.isInside(text), false, text);
});

test("the longest arguments are read in no more time than they take to write", () => {
  const long = 1 << 20;
  for (const text of ["a".repeat(long), "a:".repeat(long), "/".repeat(long), "a:/".repeat(long), `a:${"/".repeat(long)}`, `a:${"/ ".repeat(long)}`, `a://${" ".repeat(long)}`,
     "a://b".repeat(long / 4), "$(".repeat(long / 2), "${".repeat(long / 2), "$a".repeat(long / 2), "~a".repeat(long / 2), "'\"\\".repeat(long / 3),
     "-a".repeat(long / 2), "$'".repeat(long / 2), "1.".repeat(long / 2), "[1%".repeat(long / 3), "a.".repeat(long / 2), "file:".repeat(long / 5),
     Array.from({ length: long / 8 }, (_one, at) => `/${at}`).join(" ")]) {
    const began = process.cpuUsage();
    reach.isInside({ text });
    assert.ok(process.cpuUsage(began).user < 3_000_000, `${text.slice(0, 8)} ${process.cpuUsage(began).user}`);
  }
});

const inside = '{"limit":1,"url":"http://127.0.0.1:18789/tools/invoke"}';

test("a listed read that reaches inside is vetoed in a turn and in any other run, and recorded", async (t) => {
  const gateway = await Mini.start(t);
  const end = await gateway.turnEnd(`[[tool:ledger_read ${inside}]] [[tool:ledger_read {}]] [[say:done]]`);
  assert.deepEqual(end.calls.map(({ decision, args }) => [decision, args]), [["vetoed", inside], ["allowed", "{}"]]);
  const call = { run: "r", session: "agent:main:wx:1", call: "c", tool: "ledger_read" };
  const { blocked, reason } = await gateway.control("run", { ...call, args: JSON.parse(inside) });
  assert.deepEqual([blocked, reason.split(",")[0]], [true, "miniprogram-journal: not_allowed"]);
  assert.equal((await gateway.control("run", { ...call, args: { url: "https://example.com" } })).blocked, false);
});
