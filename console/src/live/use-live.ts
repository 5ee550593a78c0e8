import { useEffect, useMemo } from "preact/hooks";
import { Live } from "./poll.ts";

/** Looks at something for as long as the component is there. Another key is another thing. */
export function useLive<T>(key: string, ask: () => Promise<T>, everyS: number): Live<T> {
  // `ask` closes over nothing but what `key` names.
  const live = useMemo(() => new Live(ask, everyS), [key, everyS]);
  useEffect(() => live.watch(), [live]);
  return live;
}

/** Looks at something that others look at, too. */
export function useWatch<T>(live: Live<T>): Live<T> {
  useEffect(() => live.watch(), [live]);
  return live;
}
