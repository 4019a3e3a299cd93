/** The time, for durations that grow while one looks. */

import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let timer: number | undefined;
let now = Math.floor(Date.now() / 1000);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(() => {
    now = Math.floor(Date.now() / 1000);
    for (const told of listeners) told();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Seconds since the epoch; the component renders anew each second where `ticking`. */
export function useNow(ticking = true): number {
  return useSyncExternalStore(ticking ? subscribe : idle, () => (ticking && timer !== undefined ? now : currentMinute()));
}

function idle(): () => void {
  return () => undefined;
}

// Stable between renders, as the store wants it.
function currentMinute(): number {
  const seconds = Math.floor(Date.now() / 1000);
  return seconds - (seconds % 5);
}
