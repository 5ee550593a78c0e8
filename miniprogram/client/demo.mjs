// One step of `make demo`: this library under Node, against the service that the demo runs. No installation is needed.
//   node demo.mjs BASE_URL USER NOTE
// A double tap whose first response is lost, and an app that is killed then, result in one job. Prints its steps, and ends with
// the request id of the job on the last line.
import { createClient } from "./src/index.ts";
import { nodeWx } from "./dev/node-wx.ts";

const [baseUrl, user, note] = process.argv.slice(2);
const stored = new Map();
const phone = () => nodeWx({ user, stored });
const says = (line) => console.log(line);

/** A phone whose app is killed when the service has answered the submission. */
async function firstRun() {
  const wx = phone();
  const { request } = wx;
  const answered = new Promise((resolve) => {
    wx.request = (options) => {
      const isSubmission = options.method === "POST" && options.url.endsWith("/v1/jobs");
      if (!isSubmission) return request(options);
      return request({ ...options, success: ({ statusCode }) => resolve(statusCode), fail: resolve });
    };
  });
  const client = createClient({ baseUrl, wx });
  const first = client.submit("ledger_append", { note });
  const second = client.submit("ledger_append", { note });
  says(`a double tap is one intent: ${first === second}, stored as ${first.requestId} before anything was sent`);
  says(`the service answers ${await answered}, and the phone loses the answer; the app is killed`);
  client.close();
  return first === second;
}

async function secondRun() {
  const client = createClient({ baseUrl, wx: phone() });
  const [handle] = client.open();
  says(`after the restart the app finds it: ${handle.status}`);
  const job = await handle.result();
  says(`its job: ${job.status}; left in the outbox: ${client.open().length}`);
  const isClean = client.open().length === 0;
  client.close();
  return job.status === "succeeded" && isClean ? job.request_id : undefined;
}

const isOne = await firstRun();
const id = await secondRun();
if (!isOne || !id) process.exit(1);
says(id);
process.exit(0);
