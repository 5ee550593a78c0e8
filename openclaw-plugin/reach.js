import net from "node:net";
import os from "node:os";
import path from "node:path";
import { addressWords, isExpanded, pathWords, unquoted } from "./shell-words.js";

// Schemes whose host the URL standard finds behind no slash, or one, as well.
const FEW_SLASHES = /^(?:https?|wss?|ftp):[\\/]?([^\\/?#]+)/i;
// Tools that fetch may strip spaces behind the slashes. The hosts of these four schemes are not machines.
const AUTHORITIES = /:(?<=[a-z0-9+.-]:)(?<!\b(?:cloud|media|weixin|wxfile):)(?=[\\/]{2,}[\s\\/]*([^\\/?#]*))/gi;
// Texts that are treated as a host without a scheme.
const BARE = /^((?:\[|(?:\d+\.){3}\d|localhost\b|metadata\.[\w-]+\.)[^\\/?#]*)|^[\\/]{2,}([^\\/?#]+)/i;
// The same inside a text, where it has a port or a path.
const WORD = /^((?:\[[\da-f:.]+(?:%[^\]]*)?\]|(?:\d+\.){3}\d+|localhost\.?|metadata\.[\w-]+\.[\w.-]+)(?::\d+)?)(?:[\\/?#]|(?<=[^:]:\d{1,5})$)/i;
// Numbers in which the URL standard reads an address, with a port: any other number is one.
const NUMBERS = /^((?:0x[\da-f]+|\d+)(?:\.(?:0x[\da-f]+|\d+)){0,3}):(\d{1,5})(?:$|[\\/?#])/i;
// Names of the machine that a container runs on; names of networks inside, with a port; the gateway's own name and ports.
const HOST_NAMES = /^(?:[a-z\d_-]+\.)*(?:docker|containers|google|ec2|compute)\.internal\.?(?:$|[:\\/?#])/i;
const INSIDE_PORTS = /^[a-z\d_.-]+\.(?:localhost|localdomain\d?|internal|local|lan|svc|home\.arpa)\.?:\d/i;
const GATEWAY = /^(?:gateway:\d{2,5}|[a-z][a-z\d_-]*:187[89]\d)(?:$|[\\/?#])/i;
// In running text a host ends here; in a URL these may stand before it, as part of a user's name.
const ENDS = [/[\s"'<>][^]*$/, /[\s"'<>(){},;|][^]*$/, /[\s"'<>(){},;|!*$&+=^`~][^]*$/];
// The name of a network interface in an IPv6 address, which the URL standard refuses and others take.
const ZONE = /\[([\da-f:.]{2,45})%[^\]]{0,64}\]/i;
const INSIDE_NAMES = /(?:^|\.)(?:localhost|localdomain\d?|internal|local|lan|svc|home\.arpa)$|^metadata\./;

// The usual names of OpenClaw's state folder, wherever it lies.
const STATE = /^\.(?:openclaw|clawdbot)(?:-[\w-]+)?$/i;
// Files of the service and of the gateway's script that lie beside the gateway's state, with what is called after them:
// credentials, and logs with what agents said.
const PRIVATE = /^(?:gateway\.(?:token|log)|secrets\.json|openclaw(?:-[\w-]+)?\.log)(?:$|[-.~])/i;

const INSIDE = new net.BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8], ["10.0.0.0", 8], ["100.64.0.0", 10], ["127.0.0.0", 8], ["169.254.0.0", 16], ["172.16.0.0", 12],
  ["192.0.0.0", 24], ["192.168.0.0", 16], ["198.18.0.0", 15], ["168.63.129.16", 32], ["224.0.0.0", 3],
]) {
  INSIDE.addSubnet(network, bits, "ipv4");
}
// All of IPv6 that is public is below 2000::/3, and these parts of that carry addresses of another network in them.
const PUBLIC = new net.BlockList();
PUBLIC.addSubnet("2000::", 3, "ipv6");
const CARRIERS = new net.BlockList();
CARRIERS.addSubnet("2001::", 23, "ipv6");
CARRIERS.addSubnet("2002::", 16, "ipv6");

/**
 * Whether arguments name what only the gateway's own machine and network reach: an address or a name inside, or a file
 * of its state. It reads the text and resolves no names: the tool that follows a public name has to check its target.
 */
export class Reach {
  #homes;
  #states;
  #files;

  constructor({ db, env = process.env }) {
    this.#homes = [...new Set([env.OPENCLAW_HOME || os.homedir(), os.homedir()])];
    const placed = (named) => this.#places(named.trim())[0];
    const usual = [".openclaw", ".clawdbot"].map((name) => path.join(this.#homes[0], name));
    this.#states = [env.OPENCLAW_STATE_DIR, ...usual].filter((one) => one?.trim()).map(placed);
    this.#files = [db, env.OPENCLAW_CONFIG_PATH].filter((one) => one?.trim()).map(placed);
  }

  isInside(value) {
    if (typeof value === "string") return unquoted(value).some((text) => namesInside(text) || this.#namesState(text));
    if (value === null || typeof value !== "object") return false;
    return Object.entries(value).some(([name, one]) => this.isInside(name) || this.isInside(one));
  }

  /** OpenClaw removes some prefixes of a path. */
  #namesState(text) {
    const named = plain(text).replace(/^(?:media\s*:\s*)+/i, "").replace(/^@/, "");
    if (/^file:(?!\s)/i.test(named) || /(?<!\w)file:[\\/]/i.test(text)) return true;
    if (isExpanded(text) || isExpanded(named) || this.#isState(named)) return true;
    return [...new Set([text, named])].some((form) => pathWords(form).some((word) => this.#isState(word)));
  }

  /** Paths are compared as text, so one with `..` may lead anywhere. */
  #isState(named) {
    const parts = named.split(/[\\/]/).filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) return true;
    if (!/^[a-z][a-z0-9+.-]+:|:\/\//i.test(named) && PRIVATE.test(parts.at(-1) ?? "")) return true;
    if (!named.includes("://") && isInState(parts)) return true;
    if (!/^(?:\/|~(?:\/|$))/.test(named)) return false;
    const isShut = (file) => this.#files.some((one) => isFileOf(one, file)) || this.#states.some((one) => isKept(one, file));
    return this.#places(named).some((file) => isBelow("/proc", file) || isShut(file));
  }

  /** The possible targets of a path on a case-insensitive file system. */
  #places = (named) =>
    this.#homes.map((home) => path.resolve(named.replace(/^~(?=\/|$)/, home)).toLowerCase());
}

const isBelow = (folder, file) => file === folder || file.startsWith(`${folder}/`);

/** SQLite keeps further files in the same folder, named after the database. */
const isFileOf = (one, file) => file.startsWith(one) && /^(?:$|[-./])/.test(file.slice(one.length));

const isWorkspace = (name) => /^workspace(?:-(?!attestations$).+)?$/i.test(name ?? "");

/** The agents' workspaces do not count as state. */
const isKept = (state, file) => isBelow(state, file) && !isWorkspace(file.slice(state.length + 1).split("/")[0]);

/** A path may begin in a folder that is not known here, or in the home of another user. */
const isInState = (parts) => parts.some((part, at) => STATE.test(part) && !isWorkspace(parts[at + 1]));

/** As the URL parser reads it, and without the spaces that tools strip. */
const plain = (text) => text.replace(/^[\0- \s]+|[\t\n\r]+/g, "").trim();

function namesInside(text) {
  const stripped = plain(text);
  const first = (pattern) => pattern.exec(stripped)?.slice(1).find((host) => host !== undefined) ?? [];
  const hosts = [first(BARE), first(FEW_SLASHES), net.isIPv6(stripped) ? `[${stripped}]` : []].flat();
  for (const form of new Set([text, stripped])) {
    for (const [, authority] of form.matchAll(AUTHORITIES)) {
      hosts.push(authority, ...ENDS.map((end) => authority.replace(end, "")));
    }
  }
  return hosts.some(isInsideHost) || isInsideBare(stripped) || addressWords(text).some(isInsideWord);
}

/** An address without a scheme. */
function isInsideBare(word) {
  const [, host, port] = NUMBERS.exec(word) ?? [];
  if (host !== undefined) return isInsideNumber(host, port);
  return HOST_NAMES.test(word) || INSIDE_PORTS.test(word) || GATEWAY.test(word);
}

const isInsideWord = (word) => isInsideBare(word) || isInsideHost(WORD.exec(word)?.[1] ?? "example.com");

/** A time (`10:30`) would be an address of the network 0, and a ratio (`10.5:1`) one of the network 10. */
function isInsideNumber(host, port) {
  const address = URL.parse(`http://${host}`)?.hostname ?? "";
  if (!net.isIPv4(address) || address.startsWith("0.")) return false;
  return address.startsWith("127.") || (port.length > 1 && INSIDE.check(address, "ipv4"));
}

/** Parses the authority of a URL as that of `http`, so that every spelling of an address is recognized. */
function isInsideHost(authority) {
  const url = URL.parse(`http://${authority.replace(ZONE, "[$1]")}`);
  if (url === null) return false;
  const host = url.hostname.replace(/\.$/, "");
  if (host.startsWith("[")) return isInsideV6(host.slice(1, -1));
  if (net.isIPv4(host)) return INSIDE.check(host, "ipv4");
  return !host.includes(".") || INSIDE_NAMES.test(host);
}

const isInsideV6 = (address) => !PUBLIC.check(address, "ipv6") || CARRIERS.check(address, "ipv6");
