import { useEffect, useMemo } from "preact/hooks";
import { Live } from "./poll.ts";

/** Polls while the component is mounted. Another key starts another poll. */
export function useLive<T>(key: string, ask: () => Promise<T>, everyS: number): Live<T> {
  // `ask` depends only on values that are in `key`.
  const live = useMemo(() => new Live(ask, everyS), [key, everyS]);
  useEffect(() => live.watch(), [live]);
  return live;
}

/** Subscribes to a poll that several components share. */
export function useWatch<T>(live: Live<T>): Live<T> {
  useEffect(() => live.watch(), [live]);
  return live;
}
