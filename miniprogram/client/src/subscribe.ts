import type { SubscribeResult, Wx } from "./types.ts";

/** Asks the user for push messages of these templates. WeChat wants the call inside a tap: nothing is awaited before it. */
export const subscribe = (wx: Wx, tmplIds: string[]): Promise<SubscribeResult> =>
  new Promise((resolve) => {
    const said: Record<string, string> = {};
    // The service has no call that takes the credits yet: it cannot send a message, and `recorded` says so.
    const end = (more?: Pick<SubscribeResult, "error">): void => resolve({ templates: said as SubscribeResult["templates"], recorded: false, ...more });
    const fail = ({ errMsg: message, errCode: code = 0 }: { errMsg: string; errCode?: number }): void => end({ error: { code, message } });
    if (!wx.requestSubscribeMessage) return fail({ errMsg: "too old" });
    wx.requestSubscribeMessage({
      tmplIds,
      success: (result) => {
        for (const id of tmplIds) if (result[id]) said[id] = result[id];
        end();
      },
      fail,
    });
  });
