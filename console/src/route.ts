/** The current screen, in the fragment of the URL, which is not sent to a server. */
import { signal } from "@preact/signals";
import { BAD_STATES, type BadState } from "./api/shapes.ts";

export const SCREENS = ["waiting", "running", "wrong", "switches", "charts", "audit"] as const;
export type Screen = (typeof SCREENS)[number];
export type WrongTab = BadState | "dead-letters";

export type Route =
  | { at: Exclude<Screen, "wrong"> }
  | { at: "wrong"; tab: WrongTab }
  | { at: "job"; job: string }
  | { at: "user"; user: string }
  | { at: "account" };

/** Parses a fragment. An unknown one is the first screen. */
export function parse(hash: string): Route {
  const [at, ...rest] = hash.replace(/^#\/?/, "").split("/");
  let open = rest.join("/");
  try {
    open = decodeURIComponent(open);
  } catch {
    open = "";
  }
  switch (at) {
    case "running":
    case "switches":
    case "charts":
    case "audit":
    case "account":
      return { at };
    case "wrong": {
      const tab = BAD_STATES.find((state) => state === open);
      return { at, tab: open === "dead-letters" ? open : (tab ?? "unknown") };
    }
    case "job":
      return open ? { at, job: open } : { at: "waiting" };
    case "user":
      return open ? { at, user: open } : { at: "waiting" };
    default:
      return { at: "waiting" };
  }
}

export function address(route: Route): string {
  switch (route.at) {
    case "wrong":
      return `#/wrong/${route.tab}`;
    case "job":
      return `#/job/${encodeURIComponent(route.job)}`;
    case "user":
      return `#/user/${encodeURIComponent(route.user)}`;
    default:
      return `#/${route.at}`;
  }
}

export const route = signal<Route>({ at: "waiting" });

export function go(to: Route): void {
  location.hash = address(to);
}

export function startRouting(): void {
  const read = () => {
    route.value = parse(location.hash);
  };
  addEventListener("hashchange", read);
  read();
}

/** A search term: a support code (43 characters of base64url), a user id (a UUID), or neither. */
export function sought(text: string): Route | undefined {
  const trimmed = text.trim();
  if (/^[A-Za-z0-9_-]{43}$/.test(trimmed)) return { at: "job", job: trimmed };
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(trimmed)) return { at: "user", user: trimmed.toLowerCase() };
  return undefined;
}
