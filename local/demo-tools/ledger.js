import fs from "node:fs";
import path from "node:path";

const HOLD_POLL_MS = 50;

/** A file of JSON lines. A line is on disk when `append` returns. */
export class Ledger {
  constructor(file) {
    this.file = file;
    fs.mkdirSync(path.dirname(file), { recursive: true });
  }

  append(line) {
    const text = `${JSON.stringify({ at: Date.now(), ...line })}\n`;
    const handle = fs.openSync(this.file, "a+");
    try {
      // A crash may have left an incomplete line: it is ended, so that the next entry begins on a line of its own.
      fs.writeSync(handle, this.#endsTorn(handle) ? `\n${text}` : text);
      fs.fsyncSync(handle);
    } finally {
      fs.closeSync(handle);
    }
  }

  #endsTorn(handle) {
    const { size } = fs.fstatSync(handle);
    if (size === 0) return false;
    const last = Buffer.alloc(1);
    fs.readSync(handle, last, 0, 1, size - 1);
    return last.toString() !== "\n";
  }

  lines() {
    if (!fs.existsSync(this.file)) return [];
    return fs.readFileSync(this.file, "utf8").split("\n").flatMap(parseLine);
  }

  /** Waits while FILE.hold exists, so that a test can act while a read is in progress. */
  async released() {
    while (fs.existsSync(`${this.file}.hold`)) await new Promise((resolve) => setTimeout(resolve, HOLD_POLL_MS));
  }

  remove() {
    fs.rmSync(this.file, { force: true });
  }
}

function parseLine(text) {
  try {
    return text === "" ? [] : [JSON.parse(text)];
  } catch {
    return [];
  }
}
