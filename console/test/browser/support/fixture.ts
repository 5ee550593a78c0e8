/** What each file of browser tests has: a service, a browser and a user, and tabs that are closed after each test. */
import { after, afterEach } from "node:test";
import type { BrowserContextOptions } from "playwright-core";
import { Console, launch } from "./browser.ts";
import { Stand, type Role } from "./stand.ts";

export const [stand, browser] = await Promise.all([Stand.start(), launch()]);
export const alice = await stand.user("alice");
const tabs: Console[] = [];

after(async () => {
  await browser.close();
  await stand.stop();
});
// A tab that has collected an error fails the test that opened it.
afterEach(async () => {
  for (const tab of tabs.splice(0)) await tab.close();
});

/** A tab that shows the sign-in. */
export async function openTab(options: BrowserContextOptions = {}): Promise<Console> {
  const tab = await Console.open(stand, browser, options);
  tabs.push(tab);
  return tab;
}

/** A tab in which an operator of this role is signed in. */
export async function openAs(role: Role, options: BrowserContextOptions = {}): Promise<Console> {
  const tab = await openTab(options);
  await tab.signIn(role);
  return tab;
}
