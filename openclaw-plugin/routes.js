import { probeGuard } from "./guard-probe.js";
import { isObject } from "./canonical.js";
import { failure, invoke, isKey } from "./invoke.js";
import { Unavailable } from "./journal.js";
import { MAX_DEPTH, hasEscapedName, toJson, wellFormed } from "./text.js";
import { abortTurn, endSession, startTurn } from "./turns.js";

const BASE = "/miniprogram/v1";
const BODY_CAP = 1024 * 1024;
const FORGET_CAP = 1000;
// The arguments of a call are nested one level deeper.
const BODY_DEPTH = MAX_DEPTH + 1;

/** The routes that a worker calls. `settings` is what `health` reports. */
export function registerRoutes(api, journal, runner, settings) {
  const turns = { journal, book: journal.book, runner };
  const route = (name, method, handle) =>
    api.registerHttpRoute({
      path: `${BASE}/${name}`, auth: "gateway", match: "exact",
      handler: (req, res) => respond(journal, req, res, { method, handle }),
    });
  route("health", "GET", () => health(journal, settings));
  route("invoke", "POST", (input, req) => invoke(journal, input, caller(req, settings.port)));
  route("outcome", "POST", (input) => outcome(journal, input));
  route("revoke", "POST", (input) => revoke(journal, input));
  route("forget", "POST", (input) => forget(journal, input));
  route("turns", "POST", (input) => startTurn(turns, input));
  route("abort", "POST", (input) => abortTurn(turns, input));
  route("end-session", "POST", (input) => endSession(turns, input));
  route("canary", "POST", (input, req) => probeGuard(journal, input, caller(req, settings.port)));
}

/** The gateway's port is that of the caller's connection; the configuration may have named another one at start. */
function caller(req, configuredPort) {
  const port = req.socket.encrypted ? configuredPort : (req.socket.localPort ?? configuredPort);
  return { authorization: req.headers.authorization, port };
}

function health(journal, { plugin, gateway, guard, reads }) {
  const synchronous = journal.synchronous();
  const rings = journal.book.wakeUps.isOn;
  return { status: 200, body: { plugin, gateway, guard: [...guard], reads: [...reads], synchronous, turns: true, rings } };
}

function outcome(journal, input) {
  if (!isKey(input.key)) return failure(400, "invalid_request");
  if (!journal.confirm(input)) return failure(412, "other_journal");
  const row = journal.find(input.key);
  return { status: 200, body: { entry: row ? journal.book.anyEntry(row, true) : null } };
}

/** Revokes a key that is free or released; any other is returned unchanged. */
function revoke(journal, input) {
  if (!isKey(input.key)) return failure(400, "invalid_request");
  if (!journal.confirm(input)) return failure(412, "other_journal");
  const row = journal.find(input.key);
  const isOpen = row === undefined || row.state === "released";
  const kept = isOpen ? journal.claim({ key: input.key, state: "revoked" }, row) : row;
  return { status: 200, body: { entry: journal.book.anyEntry(kept, !isOpen) } };
}

function forget(journal, input) {
  const { keys } = input;
  if (!Array.isArray(keys) || keys.length > FORGET_CAP || !keys.every(isKey)) return failure(400, "invalid_request");
  if (!journal.confirm(input)) return failure(412, "other_journal");
  return { status: 200, body: { forgotten: journal.forget(keys) } };
}

async function respond(journal, req, res, { method, handle }) {
  const { status, body, headers } = await answerTo(req, method, handle);
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers ?? {})) res.setHeader(name, value);
  res.setHeader("content-type", "application/json; charset=utf-8");
  // The identity is read last: its sequence covers every commit that led to this answer.
  res.end(toJson({ ok: status < 300, ...journal.identity(), ...body }));
  return true;
}

async function answerTo(req, method, handle) {
  if (req.method !== method) return { ...failure(405, "method_not_allowed"), headers: { allow: method } };
  try {
    if (method === "GET") return await handle();
    const text = await readText(req);
    if (text === null) return failure(413, "too_large");
    const input = parseInput(text);
    return input ? await handle(input, req) : failure(400, "invalid_request");
  } catch (error) {
    if (error instanceof Unavailable) return failure(503, "journal_unavailable");
    return failure(500, "internal");
  }
}

async function readText(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size <= BODY_CAP) chunks.push(chunk);
  }
  return size > BODY_CAP ? null : Buffer.concat(chunks).toString("utf8");
}

/**
 * The members that every request may have are checked here, the others where they are used. A body that another parser would interpret
 * differently is refused.
 */
function parseInput(text) {
  let input;
  try {
    input = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(input) || hasEscapedName(text)) return null;
  const { mended, omitted } = wellFormed(input, BODY_DEPTH);
  if (mended || omitted !== undefined) return null;
  // Many callers send null for an absent member.
  for (const name of Object.keys(input)) if (input[name] === null) delete input[name];
  const { journal, sequence } = input;
  if (journal !== undefined && typeof journal !== "string") return null;
  if (sequence !== undefined && !(Number.isSafeInteger(sequence) && sequence >= 0)) return null;
  return input;
}
