// A Mini Program without this library: plain wx.request, written from docs/api alone. It keeps one request at a time in storage,
// so that neither a lost answer nor a restart makes a second job.
const BASE = "http://127.0.0.1:8787";
const OPEN = ["queued", "running", "retrying", "awaiting_approval"];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const request = (method, path, body, header = {}) =>
  new Promise((success, fail) => {
    const data = body && { data: JSON.stringify(body) };
    wx.request({ url: BASE + path, method, ...data, header: { "content-type": "application/json", ...header }, success, fail });
  });

const code = () => new Promise((resolve, fail) => wx.login({ success: (result) => resolve(result.code), fail }));

/** A request with the session, and a new session after a 401. After no answer, a limit or an outage: the same again. */
async function call(method, path, body, header) {
  for (let pauseMs = 500; ; pauseMs = Math.min(30000, pauseMs * 2)) {
    try {
      const authorization = `Bearer ${wx.getStorageSync("token")}`;
      const { statusCode, data, header: answered } = await request(method, path, body, { authorization, ...header });
      if (statusCode < 400) return data;
      if (statusCode === 401) {
        const session = await request("POST", "/v1/sessions", { code: await code() });
        if (session.statusCode === 201) wx.setStorageSync("token", session.data.token);
      } else if (statusCode < 500 && statusCode !== 429) return data;
      const name = Object.keys(answered).find((key) => key.toLowerCase() === "retry-after");
      await pause(statusCode === 401 ? 0 : name ? answered[name] * 1000 : pauseMs);
    } catch {
      await pause(pauseMs);
    }
  }
}

/** Submits under an id that is stored first, or goes on with the one that is stored, and follows the job to its end. */
async function run(submission) {
  const stored = wx.getStorageSync("open") || { id: uuid7(Date.now()), submission };
  wx.setStorageSync("open", stored);
  let job = await call("POST", "/v1/jobs", stored.submission, { "idempotency-key": stored.id });
  while (OPEN.includes(job.status)) {
    await pause(job.next_poll_ms);
    job = await call("GET", `/v1/jobs/${stored.id}?wait=1`);
  }
  wx.removeStorageSync("open");
  return job;
}

function uuid7(ms) {
  const random = () => Math.floor(Math.random() * 65536).toString(16).padStart(4, "0");
  const time = ms.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random().slice(1)}-8${random().slice(1)}-${random()}${random()}${random()}`;
}
