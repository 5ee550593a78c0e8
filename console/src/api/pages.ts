/** Reads the first pages of a list, one after the other. */
export async function pages<P extends { next_cursor?: string }, T>(
  count: number, ask: (cursor?: string) => Promise<P>, of: (page: P) => T[],
): Promise<{ entries: T[]; next: string | undefined; last: P }> {
  let page = await ask();
  const entries = [...of(page)];
  for (let read = 1; read < count && page.next_cursor !== undefined; read += 1) {
    page = await ask(page.next_cursor);
    entries.push(...of(page));
  }
  return { entries, next: page.next_cursor, last: page };
}
