import type { Reply } from "./connection.ts";
import type { Notification, SubscribeResult, Wx } from "./types.ts";

/**
 * Asks the user for messages, and reports to the service what was accepted. WeChat wants the call inside a tap: nothing is
 * awaited before it. The report is not repeated, since a repetition would count again: WeChat's own report makes up for it.
 */
export const subscribe = (wx: Wx, notifications: Notification[], report: (accepted: string[]) => Promise<Reply>): Promise<SubscribeResult> =>
  new Promise((resolve) => {
    const said: SubscribeResult["notifications"] = {};
    const end = (more?: Partial<SubscribeResult>): void => resolve({ notifications: said, recorded: false, ...more });
    const fail = ({ errMsg: message, errCode: code = 0 }: { errMsg: string; errCode?: number }): void => end({ error: { code, message } });
    if (!wx.requestSubscribeMessage) return fail({ errMsg: "too old" });
    wx.requestSubscribeMessage({
      tmplIds: notifications.map((one) => one.template_id),
      success: (result) => {
        for (const { name, template_id: id } of notifications) if (result[id]) said[name] = result[id] as "accept";
        const accepted = Object.keys(said).filter((name) => said[name] === "accept");
        if (!accepted.length) return end();
        report(accepted).then(() => end({ recorded: true }), ({ message }: Error) => end({ error: { code: 0, message } }));
      },
      fail,
    });
  });
