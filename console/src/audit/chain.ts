/**
 * Verifies audit chains in the browser: each record names the SHA-256 of the canonical form (RFC 8785) of the one
 * before, and the head names the last. The rules are those of `local audit verify`; tests/vectors/chains.json tests that.
 */
import canonicalize from "canonicalize";
import type { Anchor, Head, Json } from "../api/shapes.ts";

/** What the first record names as its predecessor: 32 zero bytes. */
const START = "A".repeat(43);

/**
 * The faults of a chain, in the order in which they are checked:
 * `unreadable`: a record is not of the expected shape; `misplaced`: one is missing, repeated, moved, or another chain's;
 * `unlinked`: one does not name the digest of the one before; `head`: the end is not the one that the head names;
 * `anchor`: a signed checkpoint names another digest for a record, or more records than there are.
 */
export type Fault = "unreadable" | "misplaced" | "unlinked" | "head" | "anchor";

export type Verdict =
  | { ok: true; length: number; anchored: "yes" | "no" }
  /** `place` counts from 1: the first record that does not verify. */
  | { ok: false; place: number; fault: Fault };

/** The digest of a record as published, unknown fields included: a field that was added is a change. */
export async function digestOf(record: Json): Promise<string> {
  const bytes = new TextEncoder().encode(canonicalize(record) ?? "");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return base64url(hash);
}

export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The owner that every record names: the request id of a job, or the name of a side chain. */
export type Owner = { request_id: string } | { chain: string };

export interface What {
  records: Json[];
  head: Head;
  /** The expected owner. It has to be given, because the whole chain of another job verifies as well. */
  owner: Owner;
  /** The checkpoint's entry for the chain. */
  anchor?: Anchor | undefined;
  /** The records are the end of a longer chain: the link of the first of them cannot be checked. */
  tail?: boolean;
}

/** Verifies a chain, and names the first record that does not verify. */
export async function verify({ records, head, owner, anchor, tail }: What): Promise<Verdict> {
  const before = tail ? Math.max(0, head.length - records.length) : 0;
  let digest = START;
  const [field, name] = Object.entries(owner)[0] as [string, string];
  let anchored = anchor?.length === 0;
  for (const [index, record] of records.entries()) {
    const place = before + index + 1;
    if (typeof record !== "object" || record === null || Array.isArray(record)) return { ok: false, place, fault: "unreadable" };
    const { seq, prev, [field]: whose } = record;
    if (!Number.isInteger(seq) || typeof prev !== "string" || typeof whose !== "string") return { ok: false, place, fault: "unreadable" };
    if (seq !== place || whose !== name) return { ok: false, place, fault: "misplaced" };
    if (prev !== digest && !(index === 0 && before > 0)) return { ok: false, place, fault: "unlinked" };
    try {
      digest = await digestOf(record);
    } catch {
      // A text that is no Unicode has no canonical form.
      return { ok: false, place, fault: "unreadable" };
    }
    if (anchor?.length === place) {
      if (digest !== anchor.digest) return { ok: false, place, fault: "anchor" };
      anchored = true;
    }
  }
  const last = before + records.length;
  if (head.length !== last || head.digest !== digest) return { ok: false, place: last, fault: "head" };
  if (anchor && anchor.length > last) return { ok: false, place: last, fault: "anchor" };
  return { ok: true, length: records.length, anchored: anchored ? "yes" : "no" };
}
