import { after, test } from "node:test";
import { claims } from "./support/claims.mjs";
import { Mini } from "./support/mini.mjs";

const gateway = await Mini.start({ after });
for (const [name, claim] of Object.entries(claims)) test(name, () => claim(gateway));
