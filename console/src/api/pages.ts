/** A page may be empty although others follow, because its jobs have ended. Maximum number of empty pages that are skipped at once. */
const PASSED_BY = 20;

/** Reads pages of a list one after the other until there is an entry to show. */
export async function pages<P extends { next_cursor?: string }, T>(
  count: number, ask: (cursor?: string) => Promise<P>, of: (page: P) => T[],
): Promise<{ entries: T[]; next: string | undefined; last: P }> {
  let page = await ask();
  const entries = [...of(page)];
  for (let read = 1; page.next_cursor !== undefined && (read < count || (entries.length === 0 && read < count + PASSED_BY)); read += 1) {
    page = await ask(page.next_cursor);
    entries.push(...of(page));
  }
  return { entries, next: page.next_cursor, last: page };
}
