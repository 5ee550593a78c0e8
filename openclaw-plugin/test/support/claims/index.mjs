import { calls } from "./calls.mjs";
import { toolGuard } from "./tool-guard.mjs";
import { keys } from "./keys.mjs";
import { turnEnds } from "./turn-ends.mjs";
import { turnGuard } from "./turn-guard.mjs";
import { turns } from "./turns.mjs";

/**
 * Claims about every gateway. Each gets a client and needs no restart, so that the same code tests the real
 * gateway and its stand-in.
 */
export const claims = { ...calls, ...keys, ...toolGuard, ...turns, ...turnEnds, ...turnGuard };

export { bareClaims } from "./bare.mjs";
