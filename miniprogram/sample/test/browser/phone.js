// A stand-in for WeChat around the pages: built-in tags, navigation, and the `wx` that the sample uses. Requests go to the test,
// which sends them: a Mini Program knows no CORS.
import * as adapter from "glass-easel-miniprogram-adapter";

const { glassEasel } = adapter;
const phone = globalThis.phone ?? {};
const later = (call) => setTimeout(call, 0);

function shim() {
  const listeners = { show: new Set(), hide: new Set(), network: new Set() };
  const list = (set) => [(listener) => set.add(listener), (listener) => set.delete(listener)];
  const [onAppShow, offAppShow] = list(listeners.show);
  const [onAppHide, offAppHide] = list(listeners.hide);
  const [onNetworkStatusChange, offNetworkStatusChange] = list(listeners.network);
  const appearance = { language: phone.language ?? "zh_CN", fontSizeSetting: phone.fontSizeSetting, SDKVersion: "3.8.0", theme: "light" };
  const screen = { windowWidth: innerWidth, windowHeight: innerHeight, screenWidth: innerWidth, pixelRatio: 2, platform: "devtools" };
  globalThis.signal = { show: () => listeners.show.forEach((run) => run()), hide: () => listeners.hide.forEach((run) => run()),
    network: (isConnected) => listeners.network.forEach((run) => run({ isConnected })) };
  globalThis.getRegExp = (pattern, flags) => new RegExp(pattern, flags);
  globalThis.getApp = () => ({});
  globalThis.App = (definition) => later(() => definition.onLaunch?.());
  globalThis.wx = {
    onAppShow, offAppShow, onAppHide, offAppHide, onNetworkStatusChange, offNetworkStatusChange,
    request({ success, fail, ...options }) {
      let over = false;
      globalThis.sendRequest({ ...options, timeout: options.timeout }).then((answer) => {
        if (over) return;
        if (answer.errMsg) return fail(answer);
        let data = answer.body;
        try { data = JSON.parse(answer.body); } catch { /* not JSON */ }
        success({ statusCode: answer.status, header: answer.header, data });
      });
      return { abort() { if (!over) { over = true; later(() => fail({ errMsg: "request:fail abort" })); } } };
    },
    login: ({ success }) => later(() => success({ code: `code-of-${Math.random()}` })),
    checkSession: ({ success }) => later(success),
    getStorageSync: (key) => localStorage.getItem(key) ?? "",
    setStorageSync: (key, value) => localStorage.setItem(key, value),
    removeStorageSync: (key) => localStorage.removeItem(key),
    getAppBaseInfo: () => appearance,
    getSystemInfoSync: () => ({ ...appearance, ...screen }),
    getWindowInfo: () => screen,
    getDeviceInfo: () => screen,
    canIUse: () => true,
    nextTick: later,
    hideKeyboard() {},
    stopPullDownRefresh() {},
    navigateTo: ({ url }) => navigate(url, true),
    navigateBack: () => back(),
    switchTab: ({ url }) => navigate(url, false),
    setClipboardData({ data, success }) { globalThis.clipboard = data; later(success); },
    showToast({ title }) {
      const toast = document.body.appendChild(Object.assign(document.createElement("div"), { className: "phone-toast", textContent: title }));
      setTimeout(() => toast.remove(), 1500);
    },
    showModal({ title, content, confirmText, cancelText, success }) {
      const modal = document.body.appendChild(Object.assign(document.createElement("div"), { className: "phone-modal" }));
      const box = modal.appendChild(document.createElement("div"));
      for (const text of [title, content]) box.appendChild(Object.assign(document.createElement("p"), { textContent: text }));
      for (const [text, confirm] of [[cancelText, false], [confirmText, true]]) {
        const button = box.appendChild(Object.assign(document.createElement("button"), { textContent: text }));
        button.onclick = () => { modal.remove(); success({ confirm, cancel: !confirm }); };
      }
    },
    createSelectorQuery() {
      const done = [];
      const query = { in: () => query, select: () => query, selectAll: () => query, selectViewport: () => query,
        boundingClientRect: (call) => (done.push(call), query), scrollOffset: (call) => (done.push(call), query),
        exec: (call) => later(() => { done.forEach((one) => one?.(null)); call?.([null]); }) };
      return query;
    },
  };
}

/** WeChat's built-in tags. The element of one is the tag itself, so `input` and `textarea` are the browser's own. */
function builtins(space, target) {
  const define = (name, properties = {}, attached = () => undefined) => {
    const observed = Object.fromEntries(Object.entries(properties).map(([key, apply]) => [key, {
      type: null, value: undefined, observer(value) { if (this.$$) apply(this.$$, value); },
    }]));
    return space.defineComponent({
      is: `builtin/${name}`,
      properties: {
        ...observed,
        hidden: { type: null, value: undefined, observer(value) { if (this.$$) this.$$.style.display = value ? "none" : ""; } },
      },
      lifetimes: {
        attached() {
          for (const [key, apply] of Object.entries(properties)) if (this.data[key] !== undefined) apply(this.$$, this.data[key]);
          if (this.data.hidden) this.$$.style.display = "none";
          attached.call(this, this.$$, (type, detail) => this.triggerEvent(type, detail, {}));
        },
      },
    });
  };
  const entered = (el, value) => { if (el.value !== String(value ?? "")) el.value = value ?? ""; };
  const typing = {
    value: entered,
    placeholder: (el, text) => (el.placeholder = text ?? ""),
    disabled: (el, off) => (el.disabled = !!off),
    maxlength: (el, most) => (most >= 0 ? (el.maxLength = most) : el.removeAttribute("maxlength")),
    type: (el, type) => (el.inputMode = type === "digit" ? "decimal" : "text"),
  };
  function input(el, trigger) {
    el.addEventListener("input", (event) => { event.stopPropagation(); trigger("input", { value: el.value }); });
    for (const type of ["change", "focus", "blur"]) {
      el.addEventListener(type, (event) => { event.stopPropagation(); if (type !== "change") trigger(type, { value: el.value }); });
    }
  }
  const all = {
    view: define("view"), text: define("text"), block: define("block"), label: define("label"), button: define("button"), icon: define("icon"),
    image: define("image", { src: (el, src) => el.setAttribute("data-src", src) }),
    "scroll-view": define("scroll-view", { scrollTop: (el, top) => (el.scrollTop = top) }),
    "rich-text": define("rich-text", { nodes: (el, nodes) => (el.innerHTML = String(nodes ?? "")) }),
    input: define("input", typing, input),
    textarea: define("textarea", typing, input),
    switch: define("switch", { checked: (el, on) => { if (el.firstChild) el.firstChild.checked = !!on; } }, function (el, trigger) {
      const box = el.appendChild(Object.assign(document.createElement("input"), { type: "checkbox", checked: !!this.data.checked }));
      box.style.width = "auto";
      box.addEventListener("change", (event) => { event.stopPropagation(); trigger("change", { value: box.checked }); });
    }),
    picker: define("picker", { range: (el, range) => options(el, range) }, (el, trigger) => {
      el.addEventListener("change", (event) => { event.stopPropagation(); trigger("change", { value: String(event.target.selectedIndex) }); });
    }),
  };
  function options(el, range) {
    const select = el.querySelector(":scope > select") ?? el.appendChild(document.createElement("select"));
    select.replaceChildren(...(range ?? []).map((text) => Object.assign(document.createElement("option"), { textContent: text })));
    select.selectedIndex = -1;
  }
  for (const [name, definition] of Object.entries(all)) target.setGlobalUsingComponent(name, definition);
}

let app;
let codeSpace;
let backend;
const stack = [];

function show(root) {
  document.body.replaceChildren();
  const [path] = root.url.split("?");
  const tab = app.tabs.findIndex(({ pagePath }) => pagePath === path);
  document.documentElement.classList.toggle("with-tabs", tab >= 0);
  const bar = document.body.appendChild(Object.assign(document.createElement("div"), { className: "phone-bar" }));
  const title = app.configs[path].navigationBarTitleText;
  if (stack.length > 1) bar.appendChild(Object.assign(document.createElement("span"), { className: "phone-back", textContent: "‹", onclick: back }));
  bar.append(title);
  document.body.appendChild(root.host);
  if (tab >= 0) {
    const tabs = document.body.appendChild(Object.assign(document.createElement("div"), { className: "phone-tabs" }));
    app.tabs.forEach(({ text, pagePath }, at) =>
      tabs.appendChild(Object.assign(document.createElement("div"), { className: at === tab ? "on" : "", textContent: text, onclick: () => navigate(`/${pagePath}`, false) })));
  }
  root.page.onShow?.();
}

const kept = new Map();
function navigate(url, push) {
  const full = url.replace(/^\//, "");
  stack.at(-1)?.page.onHide?.();
  if (!push) {
    // Pages of tabs live on; others end.
    stack.splice(0).forEach((root) => { if (!kept.has(root.url)) root.page.onUnload?.(); });
    if (kept.has(full)) { stack.push(kept.get(full)); return show(stack.at(-1)); }
  }
  const [path, query = ""] = full.split("?");
  const host = Object.assign(document.createElement("div"), { className: "phone-page" });
  const placeholder = host.appendChild(document.createElement("span"));
  const root = backend.createRoot("body", codeSpace, path);
  root.attach(host, placeholder);
  // Parts of an app that were taken into a new document before it was shown would not be attached.
  const entry = { url: full, host, root, page: root.get() };
  stack.push(entry);
  if (!push) kept.set(full, entry);
  entry.page.onLoad?.(Object.fromEntries(new URLSearchParams(query)));
  show(entry);
}

function back() {
  const gone = stack.pop();
  gone.page.onUnload?.();
  show(stack.at(-1));
}

/** Styles that a component sets have rpx too. */
function takeRpx() {
  const { setAttribute } = Element.prototype;
  Element.prototype.setAttribute = function set(name, value) {
    const text = name === "style" ? String(value).replace(/(-?\d*\.?\d+)rpx/g, "calc($1 * var(--rpx))") : value;
    return setAttribute.call(this, name, text);
  };
}

export function run(given) {
  app = given;
  shim();
  takeRpx();
  const env = new adapter.MiniProgramEnv();
  codeSpace = env.createCodeSpace("main", true);
  builtins(env.getGlobalCodeSpace().getComponentSpace(), codeSpace.getComponentSpace());
  const context = new glassEasel.CurrentWindowBackendContext();
  context.onEvent((target, type, detail, options) => {
    // The built-in inputs tell these themselves, with the value that WeChat's events have.
    if (["input", "change", "focus", "blur"].includes(type)) return glassEasel.EventBubbleStatus.Normal;
    const event = new glassEasel.Event(type, detail, options);
    glassEasel.Event.dispatchEvent(target, event);
    return event.defaultPrevented() ? glassEasel.EventBubbleStatus.NoDefault : glassEasel.EventBubbleStatus.Normal;
  });
  backend = env.associateBackend(context);
  for (const [path, config] of Object.entries(app.configs)) {
    // One style sheet for all: the tests do not show the isolation of styles.
    codeSpace.addComponentStaticConfig(path, { ...config, component: true, styleIsolation: "shared", usingComponents: named(path, config.usingComponents),
      componentGenerics: generics(path, config.componentGenerics) });
    codeSpace.addCompiledTemplate(path, { groupList: app.templates, content: app.templates[path] });
  }
  for (const [path, load] of Object.entries(app.modules)) codeSpace.globalComponentEnv(globalThis, path, load);
  app.app();
  later(() => navigate(phone.start ?? app.pages[0], false));
}

function absolute(path, target) {
  if (target.startsWith("/")) return target;
  if (target.startsWith("tdesign-miniprogram/")) return `/miniprogram_npm/${target}`;
  return new URL(target, `http://app/${path}`).pathname;
}
const named = (path, components = {}) => Object.fromEntries(Object.entries(components).map(([name, target]) => [name, absolute(path, target)]));
const generics = (path, all = {}) => Object.fromEntries(Object.entries(all).map(([name, { default: target }]) => [name, { default: absolute(path, target) }]));
