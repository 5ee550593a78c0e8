/** Draws the pictures of docs/operate/console.md: `scripts/dev/console.sh pictures`. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Console, launch, PHONE } from "./browser/support/browser.ts";
import { Stand } from "./browser/support/stand.ts";

const FOLDER = fileURLToPath(new URL("../../docs/images/", import.meta.url));
// The sample Mini Program has Chinese glyphs, which a machine may lack.
const FONT = fileURLToPath(new URL("../../miniprogram/sample/node_modules/@fontsource-variable/noto-sans-sc/", import.meta.url));
const DARK = { colorScheme: "dark" } as const;

const stand = await Stand.start();
const browser = await launch();
let tab: Console | undefined;

async function draw(name: string, place: string, seen: string, options = {}): Promise<Console> {
  await tab?.close();
  tab = await Console.as("admin", stand, browser, { bypassCSP: true, ...options });
  await tab.page.route("**/font/**", (route) => route.fulfill({ path: join(FONT, new URL(route.request().url()).pathname.slice(6)) }));
  await tab.at(place);
  await tab.page.addStyleTag({ url: "/font/index.css" });
  await tab.page.addStyleTag({ content: `[lang^="zh"] { font-family: "Noto Sans SC Variable" !important; }` });
  await tab.page.locator(seen).first().waitFor();
  // What is read one by one, such as the chain's verification, has come by then.
  await tab.page.waitForTimeout(1500);
  await tab.page.screenshot({ path: `${FOLDER}console-${name}.png` });
  return tab;
}

try {
  const [alice, bob] = [await stand.user("alice"), await stand.user("bob")];
  const paid = await alice.asksToPay(4200, "Invoice 2026-114");
  await bob.asksToPay(180, "Refund of order 8812");
  const held = await bob.submit("ledger_append", { note: "review-20002" });
  await bob.until(held.request_id, "awaiting_approval");
  const lost = await alice.submit("ledger_sleep", { ms: 60_000, note: "Reminder for Friday" });
  await alice.until(lost.request_id, "running");
  await stand.order("kill-in-flight Reminder for Friday");

  await draw("waiting", "waiting", `article[data-job="${paid.support_code}"]`);
  await draw("phone", "waiting", `article[data-job="${paid.support_code}"]`, { ...PHONE, ...DARK });
  const asked = await draw("confirm", "waiting", `article[data-job="${paid.support_code}"]`);
  await asked.card(paid.support_code).getByRole("button", { name: "Approve" }).click();
  await asked.dialog.waitFor();
  await asked.page.screenshot({ path: `${FOLDER}console-confirm.png` });
  await asked.dialog.getByRole("button", { name: "Approve" }).click();
  await alice.until(paid.request_id, "succeeded");

  const shown = await draw("held-text", "waiting", `[data-held="${held.support_code}"]`);
  await shown.held(held.support_code).getByRole("button", { name: "Show the text" }).click();
  await shown.page.getByText("review-20002").waitFor();
  await shown.held(held.support_code).screenshot({ path: `${FOLDER}console-held-text.png` });

  await draw("job", `job/${paid.support_code}`, "main h2");
  await draw("switches", "switches", "main h2");
  await draw("charts", "charts", "main svg", DARK);
  await alice.until(lost.request_id, "unknown", 60_000);
  await draw("unknown", "wrong/unknown", `a[href$="${lost.support_code}"]`);
} finally {
  await tab?.close();
  await browser.close();
  await stand.stop();
}
