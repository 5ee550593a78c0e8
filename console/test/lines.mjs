/** A reporter for `node --test`: one line for each test, its error below the line, and a last line with counts. */
import { basename } from "node:path";

export default async function* lines(events) {
  const counts = { ok: 0, FAIL: 0, SKIP: 0 };
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
    if (type !== "test:pass" && type !== "test:fail") continue;
    // A file that holds tests is not a test itself, unless it failed before any of them.
    const isFile = data.file !== undefined && data.name.endsWith(".test.ts");
    if (isFile && (type === "test:pass" || data.details.error?.failureType === "subtestsFailed")) continue;
    const verdict = data.skip !== undefined || data.todo !== undefined ? "SKIP" : type === "test:pass" ? "ok" : "FAIL";
    counts[verdict] += 1;
    yield `${verdict.padEnd(4)} ${basename(data.file ?? "")}: ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
    if (verdict === "FAIL") {
      const error = data.details.error?.cause ?? data.details.error;
      yield `     ${String(error?.stack ?? error).replaceAll("\n", "\n     ")}\n`;
    }
  }
  yield `     ${counts.ok} passed, ${counts.FAIL} failed, ${counts.SKIP} skipped\n`;
}
