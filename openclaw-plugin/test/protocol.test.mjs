import { after, test } from "node:test";
import { bareClaims, claims } from "./support/claims/index.mjs";
import { Mini } from "./support/mini.mjs";

const gateway = await Mini.start({ after });
for (const [name, claim] of Object.entries(claims)) test(name, () => claim(gateway));

const bare = await Mini.start({ after }, { args: ["--no-journal"] });
for (const [name, claim] of Object.entries(bareClaims)) test(name, () => claim(bare));
