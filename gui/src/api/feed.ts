/** The server's live feed: one stream for the whole page, which says what changed, never the data.
 *
 * Whoever shows something asks to be told; what it shows is then read anew. Nothing is polled.
 */

import { useEffect, useRef, useSyncExternalStore } from "react";

import { address } from "./client";
import { listen } from "./stream";

/** What changed. `kind` is the feed's event; `reload` says that more may have changed than is told. */
export type Change =
  | { kind: "jobs"; jobs: readonly string[]; deleted: readonly string[] }
  | { kind: "recorded"; jobs: readonly string[] }
  | { kind: "projects"; projects: readonly string[] }
  | { kind: "reload" };

/** `away`: the page is out of sight, and hears of nothing until it is back. */
export type Connection = "connecting" | "live" | "lost" | "away";

const listeners = new Set<(change: Change) => void>();
const watchers = new Set<() => void>();
let connection: Connection = "connecting";
let started = false;
let instance: string | null = null;

/** Begin to listen. */
export function openFeed(): void {
  if (started) return;
  started = true;
  listen(address("/feed"), {
    on: {
      hello: (data) => greet(String(data["instance"])),
      jobs: (data) => tell({ kind: "jobs", jobs: data["changed"] as string[], deleted: data["deleted"] as string[] }),
      recorded: (data) => tell({ kind: "recorded", jobs: data["jobs"] as string[] }),
      projects: (data) => tell({ kind: "projects", projects: data["projects"] as string[] }),
      reload: () => tell({ kind: "reload" }),
    },
    lost: () => setConnection("lost"),
    away: () => setConnection("away"),
  });
}

function greet(now: string): void {
  // The server takes up where the stream broke off, but requests that failed meanwhile are not in it.
  const missed = connection === "lost" || connection === "away" || (instance !== null && instance !== now);
  instance = now;
  setConnection("live");
  if (missed) tell({ kind: "reload" });
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
