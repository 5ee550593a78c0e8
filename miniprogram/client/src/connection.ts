// wx.request as promises: at most two at once, every status an answer, and each failure an error of the phone.
import type { ServerClock } from "./clock.ts";
import { phoneError } from "./errors.ts";
import type { Wx } from "./types.ts";

/** Maximum number of requests at once, of the ten of a Mini Program. The others are left to the app. */
const AT_ONCE = 2;
const DOMAIN_NOT_LISTED = 600002;

export interface Reply {
  status_: number;
  /** Parsed, or undefined where it is no JSON object. */
  body_: Record<string, unknown> | undefined;
  header_(name: string): string | undefined;
}

export interface Request {
  method: "GET" | "POST" | "DELETE";
  path_: string;
  header_?: Record<string, string>;
  body_?: string | undefined;
  timeout_?: number;
  /** Another request may take its place: it is aborted then. It is to be sent while `free_()`. */
  yields_?: boolean;
}

export interface Connection {
  send_(request: Request): Promise<Reply>;
  /** Whether a request would be sent at once. */
  free_(): boolean;
  /** Aborts what may be repeated. */
  yield_(): void;
}

/** `onFree`: called when a connection has become free. */
export function connect(wx: Wx, baseUrl: string, { phone_, observe_ }: ServerClock, onFree: () => void): Connection {
  const flights = new Map<Request, () => void>();
  const waiting: (() => void)[] = [];

  const yieldOne = (): boolean =>
    [...flights].some(([request, abort]) => {
      if (request.yields_ && flights.delete(request)) abort();
      return request.yields_;
    });

  const once = (request: Request): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const timeout = request.timeout_ ?? 15_000;
      const fail = (message: string, errno?: number): void => {
        guard();
        // Errno 600003 has this text as well: the background ended it.
        reject(phoneError(errno === DOMAIN_NOT_LISTED ? "domain_not_listed" : "offline", message, errno ? { errno } : {}));
      };
      // A phone that was suspended may never call back.
      const guard = phone_.after_(timeout + 5_000, () => fail("no answer"));
      const task = wx.request({
        url: baseUrl + request.path_,
        method: request.method,
        // What WeChat sends by default as well, with and without a body.
        header: { "content-type": "application/json", ...request.header_ },
        data: request.body_,
        timeout,
        success: ({ statusCode, data, header }) => {
          guard();
          // Header names come in the case that the network made of them.
          const names = new Map(Object.entries(header ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]));
          // The service sends `no-store`: a response without it comes from a proxy or another server, whose clock may differ.
          if (/no-store/.test(names.get("cache-control")!)) observe_(Date.parse(names.get("date")!));
          resolve({ status_: statusCode, body_: objectOf(data), header_: (name) => names.get(name) });
        },
        fail: ({ errMsg, errno }) => fail(errMsg, errno),
      });
      flights.set(request, () => {
        // First: the abort may call back at once.
        fail("aborted");
        task?.abort();
      });
    });

  return {
    async send_(request) {
      while (flights.size >= AT_ONCE) {
        // A long poll is aborted for a request of the user; it is repeated later.
        if (yieldOne()) break;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      try {
        return await once(request);
      } finally {
        flights.delete(request);
        (waiting.shift() ?? onFree)();
      }
    },
    free_: () => flights.size + waiting.length < AT_ONCE,
    yield_: () => {
      while (yieldOne());
    },
  };
}

function objectOf(data: unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = typeof data === "string" ? JSON.parse(data) : data;
    return Object(value) === value && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
