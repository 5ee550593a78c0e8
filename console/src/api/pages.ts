/** A page may be empty though others follow: what was in it is over. So many are passed by at once. */
const PASSED_BY = 20;

/** Reads the first pages of a list, one after the other, and on until there is something to show. */
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
