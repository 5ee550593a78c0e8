import fs from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";

// OpenClaw's own backup takes a consistent snapshot of a file that ends in `.sqlite`. It copies one that ends in `.db` byte by
// byte, without the rows that are still in its write-ahead log.
const ENDINGS = { ".db": ".sqlite", ".sqlite": ".db" };
const BUSY_MS = 250;

/**
 * Gives a journal that is called `….db` the name `….sqlite` when the configuration asks for that. There is one journal: a
 * second one under the other name would not have the keys of the first, and would run its calls again. So both at
 * once are refused, and so is a new `….db` next to a `….sqlite`.
 */
export function takeOver(file) {
  const ending = path.extname(file);
  if (!(ending in ENDINGS)) return;
  const other = file.slice(0, -ending.length) + ENDINGS[ending];
  if (!holdsRows(other)) return;
  if (holdsRows(file)) throw new Error(`there are two journals, ${file} and ${other}; take one away`);
  if (ending === ".db") throw new Error(`the journal is called ${other} now; say so in config.db`);
  closeWhole(other);
  fs.renameSync(other, file);
  syncFolder(path.dirname(file));
}

const holdsRows = (file) => fs.existsSync(file) && fs.statSync(file).size > 0;

/**
 * Moves all rows into the one file, so that a rename includes them. SQLite leaves WAL mode only for a single
 * connection: while another process has the file open this throws, and nothing has changed.
 */
function closeWhole(file) {
  const db = new DatabaseSync(file, { timeout: BUSY_MS });
  try {
    db.exec("PRAGMA synchronous = FULL");
    const { journal_mode: mode } = db.prepare("PRAGMA journal_mode = DELETE").get();
    if (mode !== "delete") throw new Error(`${file} is in use`);
  } finally {
    db.close();
  }
  for (const beside of ["-wal", "-journal"]) {
    if (holdsRows(file + beside)) throw new Error(`${file}${beside} still holds rows`);
    fs.rmSync(file + beside, { force: true });
  }
  fs.rmSync(`${file}-shm`, { force: true });
}

function syncFolder(folder) {
  const handle = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
}
