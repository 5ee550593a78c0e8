import fs from "node:fs";
import path from "node:path";

/** Conversations on disk, one file of lines each: a message, the end of a run, or how the session stands. */
export class Sessions {
  constructor(folder) {
    this.folder = folder;
    fs.mkdirSync(folder, { recursive: true });
  }

  #file = (key) => path.join(this.folder, `${encodeURIComponent(key)}.jsonl`);

  #append(key, line) {
    fs.appendFileSync(this.#file(key), `${JSON.stringify(line)}\n`);
  }

  say = (key, message) => this.#append(key, { message });
  end = (key) => this.#append(key, { end: true });

  /** The state of a session, without its messages. */
  entry = (key) => this.#lines(key).findLast((line) => line.entry)?.entry;
  setEntry = (key, entry) => this.#append(key, { entry });

  #lines(key) {
    if (!fs.existsSync(this.#file(key))) return [];
    return fs.readFileSync(this.#file(key), "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  messages = (key) => this.#lines(key).flatMap(({ message }) => message ?? []);

  /** Whether a run was active in it when the process ended. */
  #isCutOff = (key) => this.#lines(key).findLast(({ entry }) => !entry)?.message !== undefined;

  /** The interrupted sessions, each marked: the gateway is going to resume it. */
  cutOff() {
    const keys = fs.readdirSync(this.folder).map((name) => decodeURIComponent(name.replace(/\.jsonl$/, "")));
    const cutOff = keys.filter(this.#isCutOff);
    for (const key of cutOff) this.setEntry(key, { status: "running", mainRestartRecovery: { revision: 1 } });
    return cutOff;
  }

  delete(key) {
    fs.rmSync(this.#file(key), { force: true });
  }
}
