import assert from "node:assert/strict";
import { test } from "node:test";
import canonicalize from "canonicalize";
import type { Checkpoint, Json } from "../../src/api/shapes.ts";
import { base64url, digestOf } from "../../src/audit/chain.ts";
import { signatureOf, standings } from "../../src/audit/checkpoint.ts";

async function signed(count: number) {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const key = { kid: "k1", public: base64url(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey))) };
  const list: Checkpoint[] = [];
  let prev = "A".repeat(43);
  for (let seq = 1; seq <= count; seq += 1) {
    const end = { length: seq, digest: "d".repeat(43) };
    const statement = { v: 1, seq, from: "f", to: "t", at: "a", prev, operators: end, heads: [{ job: "j", ...end }], refusals: [], kid: "k1" };
    const signature = await crypto.subtle.sign("Ed25519", pair.privateKey, new TextEncoder().encode(canonicalize(statement)));
    const checkpoint: Checkpoint = { ...statement, signature: base64url(new Uint8Array(signature)) };
    list.unshift(checkpoint);
    prev = await digestOf(checkpoint as unknown as Json);
  }
  return { list, keys: [key] };
}

test("signed checkpoints that reference each other verify", async () => {
  const { list, keys } = await signed(3);
  assert.deepEqual(await standings(list, keys), ["good", "good", "good"]);
});

test("a changed value, an added field, another signature or another predecessor is refused", async () => {
  const { list, keys } = await signed(2);
  const [newest, oldest] = list as [Checkpoint, Checkpoint];
  assert.equal(await signatureOf({ ...newest, at: "b" }, keys), "bad");
  assert.equal(await signatureOf({ ...newest, extra: 1 } as Checkpoint, keys), "bad");
  assert.equal(await signatureOf({ ...newest, signature: oldest.signature }, keys), "bad");
  assert.equal(await signatureOf({ ...newest, signature: "!" }, keys), "bad");
  assert.deepEqual(await standings([newest, { ...oldest, at: "b" }], keys), ["bad", "bad"]);
});

test("a checkpoint signed by an unknown key is neither verified nor refused", async () => {
  const { list } = await signed(1);
  assert.deepEqual(await standings(list, []), ["unchecked"]);
  assert.deepEqual(await standings(list, [{ kid: "k1", public: "AA" }]), ["unchecked"]);
});
