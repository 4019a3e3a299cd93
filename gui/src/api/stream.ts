/** Server-sent events for pages in sight.
 *
 * A browser keeps some six connections to a server for all its tabs together; tabs in the background would
 * hold them until none is left for the one that is looked at.
 */

const PATIENCE = 5_000;
const AGAIN = 2_000;

export interface Listener {
  /** By the event's name. */
  on: Record<string, (data: Record<string, unknown>) => void>;
  /** Connected, at first or again: what came in between was not told. */
  opened?: () => void;
  lost?: () => void;
  /** Closed because the page is out of sight. */
  away?: () => void;
}

/** Listen while the page is in sight, or was a moment ago; a lost server is tried again. Returns how to end it. */
export function listen(where: string, { on, opened, lost, away }: Listener): () => void {
  let source: EventSource | null = null;
  let again: number | undefined;
  let leaving: number | undefined;
  const open = () => {
    const now = (source = new EventSource(where));
    for (const [name, act] of Object.entries(on)) {
      now.addEventListener(name, (event) => act(JSON.parse(String(event.data)) as Record<string, unknown>));
    }
    now.addEventListener("open", () => opened?.());
    now.addEventListener("error", () => {
      lost?.();
      // The browser gives up where an answer was an error; the server may come back all the same.
      if (now.readyState === EventSource.CLOSED) again = window.setTimeout(open, AGAIN);
    });
  };
  const close = () => {
    window.clearTimeout(again);
    source?.close();
    source = null;
  };
  const look = () => {
    window.clearTimeout(leaving);
    if (!document.hidden) {
      if (source === null) open();
      return;
    }
    leaving = window.setTimeout(() => {
      close();
      away?.();
    }, PATIENCE);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    window.clearTimeout(leaving);
    close();
  };
}
