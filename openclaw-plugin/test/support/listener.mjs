import http from "node:http";
import { until } from "./client.mjs";

/**
 * Receives the plugin's reports. Each is answered as `answers` says, by its token and how often that token came: a
 * status, `hang`, `reset`. `seen` is called for each before the answer.
 */
export class Listener {
  reports = [];
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
    const report = { at, method, path, headers, body, text: textOf(body) };
    report.seen = this.seen(report);
    this.reports.push(report);
    const answer = this.answers(report.text, this.of(report.text).length);
    if (answer === "hang") return;
    if (answer === "reset") req.socket.destroy();
    else res.writeHead(answer, answer < 400 && answer >= 300 ? { location: "/elsewhere" } : {}).end();
  }

  of = (text) => this.reports.filter((report) => report.text === text);

  /** Waits until a token has come so often. */
  reported = (text, times = 1, timeoutMs = 20_000) =>
    until(`${text} is reported ${times} times`, () => this.of(text).length >= times && this.of(text), timeoutMs);
}

function textOf(body) {
  try {
    return JSON.parse(body).ring;
  } catch {
    return undefined;
  }
}
