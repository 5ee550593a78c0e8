import http from "node:http";
import { until } from "./client.mjs";

/**
 * Who is rung. Every ring is answered as `answers` says, by its text and how often it came: a status, `hang`, `reset`.
 * `seen` is told of each before it is answered.
 */
export class Listener {
  rings = [];
  answers = () => 204;
  seen = () => undefined;

  static async start(t) {
    const listener = new Listener();
    listener.server = http.createServer((req, res) => listener.#take(req, res));
    await new Promise((resolve) => listener.server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      listener.server.closeAllConnections();
      listener.server.close();
    });
    listener.port = listener.server.address().port;
    listener.url = `http://127.0.0.1:${listener.port}/v1/rings`;
    return listener;
  }

  async #take(req, res) {
    const at = performance.now();
    const parts = [];
    for await (const part of req) parts.push(part);
    const body = Buffer.concat(parts).toString("utf8");
    const { method, url: path, headers } = req;
    const ring = { at, method, path, headers, body, text: textOf(body) };
    ring.seen = this.seen(ring);
    this.rings.push(ring);
    const answer = this.answers(ring.text, this.of(ring.text).length);
    if (answer === "hang") return;
    if (answer === "reset") req.socket.destroy();
    else res.writeHead(answer, answer < 400 && answer >= 300 ? { location: "/elsewhere" } : {}).end();
  }

  of = (text) => this.rings.filter((ring) => ring.text === text);

  /** Waits until a ring has come so often. */
  rung = (text, times = 1, timeoutMs = 20_000) =>
    until(`${text} is rung ${times} times`, () => this.of(text).length >= times && this.of(text), timeoutMs);
}

function textOf(body) {
  try {
    return JSON.parse(body).ring;
  } catch {
    return undefined;
  }
}
