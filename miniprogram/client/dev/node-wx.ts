// `wx` under Node, for tests and the demo: wx.request by fetch, a storage in memory, codes of the development login.
import type { Wx } from "../src/types.ts";

export interface NodeWxOptions {
  /** A user name: `wx.login` gives `dev-<user>.<n>`, valid once, which a service with `--dev` accepts. */
  user: string;
  stored?: Map<string, string>;
}

export function nodeWx({ user, stored = new Map<string, string>() }: NodeWxOptions): Wx {
  return {
    request: ({ url, method, header, data, timeout, success, fail }) => {
      const abort = new AbortController();
      const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(timeout)]);
      fetch(url, { method, headers: header, signal, ...(data === undefined ? {} : { body: data }) })
        .then(async (response) => ({ statusCode: response.status, data: await response.text(), header: Object.fromEntries(response.headers) }))
        .then(success, (error: Error) => fail({ errMsg: `request:fail ${error.message}` }));
      return { abort: () => abort.abort() };
    },
    login: ({ success }) => success({ code: `dev-${user}.${Date.now()}-${Math.floor(Math.random() * 1e6)}` }),
    getStorageSync: (key) => stored.get(key) ?? "",
    setStorageSync: (key, value) => void stored.set(key, value),
    removeStorageSync: (key) => void stored.delete(key),
  };
}
