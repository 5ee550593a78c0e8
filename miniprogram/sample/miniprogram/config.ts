// What a team changes first.

/** Where the service is. A phone takes https only, and only a domain that is listed in the Mini Program's settings. */
export const SERVICE_URL: string = "http://127.0.0.1:8787";

/**
 * Against `make run`: the user who is logged in, in place of a code of `wx.login`, which the stub of WeChat there does not know.
 * It is used with an address of this computer only. Empty it before the first preview on a phone.
 */
export const DEV_USER: string = "alice";
