/** The server's live feed: one stream for the whole page, which says what changed, never the data.
 *
 * Whoever shows something asks to be told; what it shows is then read anew. Nothing is polled.
 */

import { useEffect, useRef, useSyncExternalStore } from "react";

import { address } from "./client";

/** What changed. `kind` is the feed's event; `reload` says that more may have changed than is told. */
export type Change =
  | { kind: "jobs"; jobs: readonly string[]; deleted: readonly string[] }
  | { kind: "recorded"; jobs: readonly string[] }
  | { kind: "projects"; projects: readonly string[] }
  | { kind: "reload" };

export type Connection = "connecting" | "live" | "lost";

const listeners = new Set<(change: Change) => void>();
const watchers = new Set<() => void>();
let connection: Connection = "connecting";
let source: EventSource | null = null;
let instance: string | null = null;

/** Begin to listen; a lost server is tried again until it is back. */
export function openFeed(): void {
  if (source !== null) return;
  const opened = new EventSource(address("/feed"));
  source = opened;
  opened.addEventListener("hello", (event) => greet(String(read(event)["instance"])));
  opened.addEventListener("jobs", (event) => {
    const { changed, deleted } = read(event) as { changed: string[]; deleted: string[] };
    tell({ kind: "jobs", jobs: changed, deleted });
  });
  opened.addEventListener("recorded", (event) => tell({ kind: "recorded", jobs: read(event)["jobs"] as string[] }));
  opened.addEventListener("projects", (event) => tell({ kind: "projects", projects: read(event)["projects"] as string[] }));
  opened.addEventListener("reload", () => tell({ kind: "reload" }));
  opened.addEventListener("error", () => {
    setConnection("lost");
    if (opened.readyState !== EventSource.CLOSED) return;
    // The browser gives up where an answer was an error; the server may come back all the same.
    opened.close();
    source = null;
    window.setTimeout(openFeed, 2000);
  });
}

function greet(now: string): void {
  const missed = connection === "lost" || (instance !== null && instance !== now);
  instance = now;
  setConnection("live");
  // The server takes up where the stream broke off, but requests that failed meanwhile are not in it.
  if (missed) tell({ kind: "reload" });
}

function read(event: MessageEvent): Record<string, unknown> {
  return JSON.parse(String(event.data)) as Record<string, unknown>;
}

function tell(change: Change): void {
  for (const listener of listeners) listener(change);
}

function setConnection(now: Connection): void {
  if (connection === now) return;
  connection = now;
  for (const watcher of watchers) watcher();
}

export function useConnection(): Connection {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => connection,
  );
}

/** Call `act` after changes that matter: at most once in `pause` milliseconds, and not behind a hidden tab. */
export function useFeed(matters: (change: Change) => boolean, act: () => void, pause = 400): void {
  const latest = useRef({ matters, act });
  useEffect(() => {
    latest.current = { matters, act };
  });
  useEffect(() => {
    let timer: number | undefined;
    let waiting = false;
    let last = 0;
    const run = () => {
      timer = undefined;
      waiting = document.hidden;
      if (waiting) return;
      last = Date.now();
      latest.current.act();
    };
    const soon = () => {
      timer ??= window.setTimeout(run, Math.max(0, last + pause - Date.now()));
    };
    const listener = (change: Change) => {
      if (change.kind === "reload" || latest.current.matters(change)) soon();
    };
    const shown = () => {
      if (!document.hidden && waiting) soon();
    };
    listeners.add(listener);
    document.addEventListener("visibilitychange", shown);
    return () => {
      listeners.delete(listener);
      document.removeEventListener("visibilitychange", shown);
      window.clearTimeout(timer);
    };
  }, [pause]);
}
