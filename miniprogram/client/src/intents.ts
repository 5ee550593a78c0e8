// The outbox: user intents, from before their request is sent until their end is known.
import type { ServerClock } from "./clock.ts";
import { phoneError } from "./errors.ts";
import { requestId, timeOf } from "./request-id.ts";
import type { ClientStorage, Submission } from "./types.ts";

/** WeChat stores 1 MB a key; a character takes up to three bytes. */
const MOST_LETTERS = 300_000;
const DAY_MS = 86_400_000;
/** The service takes unknown ids of up to ten minutes ahead. */
const AHEAD_MS = 600_000;
/** A copy of a request that is still on its way is refused as well for so long. */
const COPY_MS = 300_000;

/** As it is stored: the names stay. */
export interface Intent {
  id: string;
  /** The page's name of the intent, by which two taps are one. Without it the body is compared. */
  key?: string | undefined;
  body: Submission;
  /** Start nothing later than so many milliseconds after the id's time. */
  validMs?: number | undefined;
  /** The latest that the service had told of its time when the intent was made: it is not older than that. */
  seen: number;
  /** The user of the intent. Absent until the first login after it was made. */
  user?: string | undefined;
  /** A request may have left. */
  sent?: true;
  /** The service has recorded it. */
  accepted?: true;
  /** The user has cancelled it. */
  cancel?: true | undefined;
}

export interface Intents {
  all_: Intent[];
  /** The client was closed: nothing is taken, sent or stored any more. */
  closed_: boolean;
  /** Stores a new intent. Throws when it cannot: then nothing may be sent. */
  add_(intent: Pick<Intent, "key" | "body" | "validMs" | "user">): Intent;
  remove_(intent: Intent): void;
  /** Stores what has changed. Where that fails, the next start finds an older state, under the same id: it is sent again or read. */
  save_(): void;
}

export function intentsOf(storage: ClientStorage, clock: ServerClock, key: string, most: number): Intents {
  /** Ids that this client holds or held: what is stored under them is its to replace. */
  const held = new Set<string>();
  const hold = (all: Intent[]): void => all.forEach(({ id }) => held.add(id));
  /** The stored intents that this client does not hold. */
  const others = (): Intent[] => {
    const text = storage.get(key);
    try {
      const { seen, all = [] } = JSON.parse(text!) as { seen?: number; all?: (Partial<Intent> | null)[] };
      clock.seen_ ||= Number(seen) || 0;
      return all.filter((one) => typeof one?.id === "string" && Object(one.body) === one.body && !held.has(one.id)) as Intent[];
    } catch {
      // Nothing can be read from it, so nothing of it can be sent.
      return [];
    }
  };
  const write = (): void => {
    // Another client may have taken the outbox over.
    if (intents.closed_) return;
    hold(intents.all_);
    // What another client has stored, or the phone could not read at the start, is not written over.
    storage.set(key, JSON.stringify({ seen: clock.seen_, all: [...others(), ...intents.all_] }));
  };
  const intents: Intents = {
    all_: [],
    closed_: false,
    add_: (wanted) => {
      const intent: Intent = { id: requestId(clock.now_()), seen: clock.seen_, ...wanted };
      // Intents of a user who has been away for days make room: their requests are too old to be accepted.
      const stays = ({ user, id }: Intent): boolean => !user || user === wanted.user || timeOf(id) >= clock.now_() - 2 * DAY_MS;
      if (wanted.user && intents.all_.length >= most) intents.all_ = intents.all_.filter(stays);
      const { length } = intents.all_;
      if (length >= most || JSON.stringify([...intents.all_, intent]).length > MOST_LETTERS) {
        throw phoneError("outbox_full", `${length} are open`);
      }
      intents.all_.push(intent);
      try {
        write();
      } catch (error) {
        // A write may fail after it was done.
        intents.remove_(intent);
        throw phoneError("storage_failed", String(error));
      }
      return intent;
    },
    remove_: (intent) => {
      intents.all_ = intents.all_.filter((other) => other !== intent);
      intents.save_();
    },
    save_: () => {
      try {
        write();
      } catch {
        // As for the write above: the next start finds an older state.
      }
    },
  };
  try {
    hold((intents.all_ = others()));
  } catch {
    // They are there after the next start.
  }
  return intents;
}

export const keyOf = ({ key, body }: Intent): string => key ?? JSON.stringify(body);

/** What is sent: always the same for one id. */
export const bodyOf = ({ id, body, validMs }: Intent): string =>
  JSON.stringify(validMs ? { not_after: timeOf(id) + validMs, ...body } : body);

/** Wait so many milliseconds, or none and take a new id; or give up and say what may have happened. */
export type Verdict = number | "not_run" | "unknown";

/** What follows from the service not knowing an id whose time it does not take, told at its time `told`; `sent`: not for the first time. */
export function judge(intent: Intent, code: string, told: number, sent?: boolean): Verdict {
  const age = told - timeOf(intent.id);
  if (code === "request_id_in_future") {
    // A new id is safe once no copy of the old request can be taken any more.
    return -age > AHEAD_MS + COPY_MS ? 0 : Math.max(1000, -age - AHEAD_MS);
  }
  // No new id: ids are never older than the time that was seen, so the intent is as old as its id says.
  // Records are kept for two days at least: after that an unknown id proves nothing.
  return sent && age > 2 * DAY_MS ? "unknown" : "not_run";
}
