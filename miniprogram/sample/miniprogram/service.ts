import { createClient, type Client, type Wx } from "openclaw-miniprogram-client";
import { DEV_USER, SERVICE_URL } from "./config";

let client: Client | undefined;

/** The client of the service: one for the app. Made when it is first asked for, which is in `app.ts`. */
export function service(): Client {
  client ??= createClient({ baseUrl: SERVICE_URL, wx: phone() });
  return client;
}

/** A build that still names a user of the development service cannot log in as that user anywhere else. */
function phone(): Wx {
  const real = wx as unknown as Wx;
  if (!DEV_USER || !/^http:\/\/(127\.0\.0\.1|localhost)(:|\/|$)/.test(SERVICE_URL)) return real;
  const login: Wx["login"] = ({ success }) => success({ code: `dev-${DEV_USER}` });
  return Object.assign(Object.create(real) as Wx, { login });
}
