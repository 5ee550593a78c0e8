/** Checkpoints: signed statements of the heads of chains. The signature is checked if the browser supports Ed25519. */
import canonicalize from "canonicalize";
import type { Checkpoint, Json } from "../api/shapes.ts";
import { digestOf } from "./chain.ts";

/** `unchecked`: the browser does not support Ed25519, or the service does not list the key. */
export type Standing = "good" | "bad" | "unchecked";

export interface PublicKey {
  kid: string;
  /** base64url of its 32 bytes. */
  public: string;
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

/** Ed25519 over the canonical form of everything but the signature. */
export async function signatureOf(checkpoint: Checkpoint, keys: PublicKey[]): Promise<Standing> {
  const key = keys.find((one) => one.kid === checkpoint.kid);
  if (!key) return "unchecked";
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey("raw", bytes(key.public), "Ed25519", false, ["verify"]);
  } catch {
    return "unchecked";
  }
  try {
    const { signature, ...statement } = checkpoint;
    const signed = new TextEncoder().encode(canonicalize(statement) ?? "");
    return (await crypto.subtle.verify("Ed25519", imported, bytes(signature), signed)) ? "good" : "bad";
  } catch {
    return "bad";
  }
}

/** Each checkpoint, newest first as given: its signature, and whether it names the one before it, where that is in the list. */
export async function standings(list: Checkpoint[], keys: PublicKey[]): Promise<Standing[]> {
  return Promise.all(list.map(async (one, index) => {
    const older = list[index + 1];
    if (older && one.prev !== (await digestOf(older as unknown as Json))) return "bad";
    return signatureOf(one, keys);
  }));
}
