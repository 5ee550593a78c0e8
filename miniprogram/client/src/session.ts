// The session: one login at a time, from storage where it can be, and again after a 401.
import type { ServerClock } from "./clock.ts";
import type { Connection, Reply, Request } from "./connection.ts";
import { phoneError, serviceError } from "./errors.ts";
import type { ClientError, ClientStorage, Problem, Session, Wx } from "./types.ts";

/** WeChat takes four `wx.login` a second. */
const BETWEEN_CODES_MS = 300;
const LOGIN_TIMEOUT_MS = 15_000;
/** A token is not used in its last minute: it may end on the way. */
const MARGIN_MS = 60_000;

interface Stored extends Session {
  token: string;
}

/** The reply as an error of the union, or nothing when it is a success. Anything that is not the service's is `offline`. */
export function errorOf({ status_, body_, header_ }: Reply): ClientError | undefined {
  if (status_ < 400 && (body_ || status_ === 204 || status_ === 304)) return undefined;
  const problem = body_ as unknown as Problem | undefined;
  // A proxy, a captive portal or the platform answered in the service's place, before or after the service did its work.
  if (problem?.type !== `urn:openclaw-miniprogram:${problem?.code}`) return phoneError("offline", `HTTP ${status_}`);
  return serviceError(status_, problem, Number(header_("retry-after")) * 1000);
}

/** The reply, if it is a success. */
export function successOf(reply: Reply): Reply {
  const error = errorOf(reply);
  if (error) throw error;
  return reply;
}

export interface Sessions {
  /** A session that is good as far as the phone knows. */
  get_(): Promise<Stored>;
  /** The user of the session that is stored. */
  user_(): string | undefined;
  /** Discards a token that the service refused. A newer one stays. */
  drop_(token?: string): void;
  /** Allows a new attempt after a failed login: the network or the user is back. */
  retry_(): void;
  /** Sends with the session, and once more with a new one after a 401. `user`: whose request it is, if it is one user's. */
  call_(request: Request, user?: string): Promise<Reply>;
  /** A new code of `wx.login`, not more often than WeChat takes it. */
  code_(): Promise<string>;
}

export function sessionsOf(connection: Connection, storage: ClientStorage, wx: Wx, clock: ServerClock, key: string): Sessions {
  const phone = clock.phone_;
  let stored: Stored | null | undefined;
  let flight: Promise<Stored> | undefined;
  /** Why the last login failed; kept until it makes sense to try again. */
  let failed: ClientError | undefined;
  let failures = 0;
  /** WeChat was asked whether its own session of before this start still holds. */
  let checked = false;
  let codes: Promise<unknown> = Promise.resolve();
  try {
    stored = JSON.parse(storage.get(key)!) as Stored | null;
  } catch {
    // An unreadable session is none.
  }

  const code = (): Promise<string> => {
    const asked = codes.then(
      () =>
        new Promise<string>((resolve, reject) => {
          const fail = (message: string): void => reject(phoneError("login_failed", message));
          phone.after_(LOGIN_TIMEOUT_MS, () => fail("no answer"));
          wx.login({ success: ({ code }) => (code ? resolve(code) : fail("no code")), fail: ({ errMsg }) => fail(errMsg) });
        }),
    );
    const pause = (): Promise<void> => new Promise((resolve) => phone.after_(BETWEEN_CODES_MS, resolve));
    codes = asked.then(pause, pause);
    return asked;
  };

  const once = async (): Promise<Stored> => {
    const reply = await connection.send_({ method: "POST", path_: "/v1/sessions", body_: JSON.stringify({ code: await code() }) });
    const { token, user_id: userId, expires_at: expires } = successOf(reply).body_ as Record<string, string>;
    if (!token || !userId) throw phoneError("offline", "no session");
    checked = true;
    stored = { token, userId, expiresAt: Date.parse(expires!) };
    try {
      storage.set(key, JSON.stringify(stored));
    } catch {
      // The next start logs in again.
    }
    return stored;
  };

  const logIn = async (): Promise<Stored> => {
    if (failed) throw failed;
    try {
      // Codes are single use: a lost answer of WeChat's looks like a used one.
      const session = await once().catch((error: ClientError) => (error.code === "login_code_rejected" ? once() : Promise.reject(error)));
      failures = 0;
      return session;
    } catch (caught) {
      const error = caught as ClientError;
      // Without network nothing was asked of WeChat or the service: who waits for the login rests by itself.
      if (error.code !== "offline") failed = error;
      phone.after_(error.retryAfterMs ?? Math.min(60_000, 1000 * 2 ** failures++), () => {
        if (failed === error) failed = undefined;
      });
      throw error;
    }
  };

  const good = async (): Promise<Stored> => {
    const old = stored;
    if (!old || old.expiresAt - MARGIN_MS < clock.now_()) return logIn();
    if (checked || !wx.checkSession) return old;
    checked = true;
    const holds = await new Promise<boolean>((resolve) => {
      // A phone that was suspended may never call back.
      phone.after_(LOGIN_TIMEOUT_MS, () => resolve(true));
      wx.checkSession!({ success: () => resolve(true), fail: () => resolve(false) });
    });
    // WeChat's own session is over, perhaps since another account is used. Where no login is possible the token serves on.
    return holds ? old : logIn().catch((error: ClientError) => (error.retryable ? old : Promise.reject(error)));
  };

  const sessions: Sessions = {
    get_: () => (flight ??= good().finally(() => (flight = undefined))),
    user_: () => stored?.userId,
    drop_: (token) => {
      if (token && stored?.token !== token) return;
      stored = undefined;
      try {
        storage.remove(key);
      } catch {
        // The service refuses it again after the next start.
      }
    },
    retry_: () => {
      if (!failed?.retryAfterMs) failed = undefined;
    },
    async call_(request, user) {
      for (let again = true; ; again = false) {
        const { token, userId } = await sessions.get_();
        if (user && userId !== user) throw phoneError("closed", "another user");
        const header_ = { authorization: `Bearer ${token}`, ...request.header_ };
        const reply = await connection.send_({ ...request, header_ });
        // Without a session, and without a login on its way, the user has logged out meanwhile.
        if (!again || reply.status_ !== 401 || reply.body_?.["code"] !== "no_session" || !(stored || flight)) return reply;
        sessions.drop_(token);
      }
    },
    code_: code,
  };
  return sessions;
}
