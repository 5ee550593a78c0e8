// A phone, a model of the service and a client between them.
import { createClient } from "../src/client.ts";
import type { Client, ClientOptions } from "../src/types.ts";
import { Phone } from "./phone.ts";
import { Service } from "./service.ts";
import { Time } from "./time.ts";

export const BASE_URL = "https://api.example.com";

export interface Stand {
  time: Time;
  service: Service;
  phone: Phone;
  client: Client;
  /** Kills the app and starts it again on the same storage. */
  restart(): Client;
  /** Effects with that note. */
  effects(note: string): number;
  /** Lets time pass until a promise is settled. */
  run<T>(promise: Promise<T>): Promise<T>;
}

export function stand(options: Partial<ClientOptions> = {}): Stand {
  const time = new Time();
  const service = new Service(time);
  const phone = new Phone(time, service.server, "alice");
  const start = (): Client => {
    const wx = phone.start();
    return createClient({ baseUrl: BASE_URL, wx, clock: phone.clock, ...options });
  };
  const made: Stand = {
    time, service, phone,
    client: start(),
    restart: () => {
      phone.kill();
      made.client = start();
      return made.client;
    },
    run: async (promise) => {
      let settled = false;
      const seen = promise.finally(() => (settled = true));
      seen.catch(() => undefined);
      await time.until(() => settled);
      return seen;
    },
    effects: (note) => service.ledger.filter((line) => line.note === note).length,
  };
  return made;
}

/** The error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string; effect?: string }> {
  const value = await promise.then(
    () => new Error("it did not reject"),
    (error: Error) => error,
  );
  return value;
}
