// The sample's own components in WeChat's simulator of components (miniprogram-simulate) and jsdom.
// The simulator loads JavaScript: the TypeScript of a component is compiled beside its template first, as DevTools does.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { JSDOM } from "jsdom";
import { noticeOfJob } from "../../miniprogram/view/notice.ts";
import { formOf } from "../../miniprogram/view/form.ts";
import { textsOf } from "../../miniprogram/view/texts.ts";

interface Rendered {
  dom: HTMLElement;
  attach(parent: HTMLElement): void;
  detach(): void;
  querySelector(selector: string): { dispatchEvent(name: string, options?: object): void; dom: HTMLElement } | undefined;
  setData(data: object): void;
  instance: { triggerEvent: (name: string, detail?: unknown) => void; data: Record<string, unknown> };
  addEventListener(name: string, listener: (event: { detail: unknown }) => void): void;
}
interface Simulate {
  load(path: string, tag: string, options: object): string;
  render(id: string, properties?: object): Rendered;
  sleep(ms: number): Promise<void>;
}

const folder = mkdtempSync(join(tmpdir(), "sample-components-"));
let simulate: Simulate;
const copied: string[] = [];

before(() => {
  const { window } = new JSDOM("<!doctype html><body></body>");
  Object.assign(globalThis, { window, document: window.document, Event: window.Event, CustomEvent: window.CustomEvent, HTMLElement: window.HTMLElement });
  const from = fileURLToPath(new URL("../../miniprogram/components/", import.meta.url));
  cpSync(from, folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const { outputFiles } = buildSync({ entryPoints: [join(from, name, `${name}.ts`)], bundle: true, write: false, format: "cjs", target: "es2018" });
    writeFileSync(join(folder, name, `${name}.js`), outputFiles[0]!.text);
  }
  simulate = createRequire(import.meta.url)("miniprogram-simulate") as Simulate;
});
after(() => rmSync(folder, { recursive: true }));

function render(name: string, properties: object): Rendered {
  const id = simulate.load(join(folder, name, name), name, { rootPath: join(folder, name), compiler: "simulate" });
  const component = simulate.render(id, properties);
  component.attach(document.createElement("parent-wrapper"));
  return component;
}
const text = ({ dom }: Rendered): string => (dom.textContent ?? "").replace(/\s+/g, " ").trim();

test("a notice says what happened and what to do, and offers to ask again only where nothing happened", async () => {
  const failed = render("notice", { notice: noticeOfJob({ status: "failed", effect: "not_run" }, "en"), againText: "Ask again" });
  assert.match(text(failed), /It did not work.*You can ask again.*Ask again$/);
  let again = 0;
  failed.addEventListener("again", () => (again += 1));
  failed.querySelector(".notice__again")!.dispatchEvent("tap");
  await simulate.sleep(10);
  assert.equal(again, 1);
  const unknown = render("notice", { notice: noticeOfJob({ status: "unknown", effect: "unknown" }, "zh"), againText: "重新提交" });
  assert.match(text(unknown), /结果未知/);
  assert.equal(unknown.querySelector(".notice__again"), undefined);
});

test("no notice draws nothing", () => {
  assert.equal(text(render("notice", { notice: null, againText: "Ask again" })), "");
});

test("a touch copies the support code", async () => {
  const wx = (globalThis as unknown as { wx: Record<string, unknown> }).wx;
  wx["setClipboardData"] = ({ data, success }: { data: string; success(): void }) => { copied.push(data); success(); };
  wx["showToast"] = ({ title }: { title: string }) => copied.push(title);
  const code = render("support-code", { code: "K7Q-2ZD", label: "Support code", copyText: "Copy", copiedText: "Copied" });
  code.querySelector(".support")!.dispatchEvent("tap");
  await simulate.sleep(10);
  assert.deepEqual(copied, ["K7Q-2ZD", "Copied"]);
});

test("a form has an input for each property, and tells what was entered under its name", async () => {
  const fields = formOf({ required: ["amount"], properties: { amount: { type: "integer" }, note: { type: "string" }, urgent: { type: "boolean" } } }, "en");
  const form = render("tool-form", { fields, t: textsOf("en") });
  const entered: unknown[] = [];
  form.addEventListener("enter", ({ detail }) => entered.push(detail));
  form.querySelector(".field__input")!.dispatchEvent("input", { detail: { value: "12" } });
  form.querySelector(".field__switch")!.dispatchEvent("change", { detail: { value: true } });
  await simulate.sleep(10);
  assert.deepEqual(entered, [{ name: "amount", value: "12" }, { name: "urgent", value: true }]);
  assert.match(text(form), /amount ?required ?whole number/);
});
