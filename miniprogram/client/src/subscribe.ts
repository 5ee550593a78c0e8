import type { SubscribeResult, Wx } from "./types.ts";

/** Asks the user for push messages of these templates. WeChat wants the call inside a tap: nothing is awaited before it. */
export function subscribe(wx: Wx, templates: string[]): Promise<SubscribeResult> {
  return new Promise((resolve) => {
    const none = (code: number, message: string): void => resolve({ templates: {}, recorded: false, error: { code, message } });
    if (!wx.requestSubscribeMessage) return none(0, "WeChat is too old");
    wx.requestSubscribeMessage({
      tmplIds: templates,
      // The service has no call that takes the credits yet: it cannot send a message, and `recorded` says so.
      success: (result) => {
        const said = templates.filter((id) => result[id]).map((id) => [id, result[id]]);
        resolve({ templates: Object.fromEntries(said) as SubscribeResult["templates"], recorded: false });
      },
      fail: ({ errMsg, errCode }) => none(errCode ?? 0, errMsg),
    });
  });
}
