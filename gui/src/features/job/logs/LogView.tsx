import { type KeyboardEvent, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "react";

import { LogLine } from "./LogLine";
import styles from "./LogView.module.css";

const LINE = 20;
// Browsers end elements at some 17 million pixels; longer logs scroll in larger steps.
const TALLEST = 8_000_000;

export interface LogHandle {
  show: (line: number) => void;
}

export interface LogProps {
  total: number;
  lineAt: (index: number) => string | undefined;
  onWindow: (first: number, last: number) => void;
  follow: boolean;
  /** The reader scrolled away from the end, or back to it. */
  onFollow: (follow: boolean) => void;
  marked: string;
  hits: ReadonlySet<number>;
  current: number | null;
  onLine: (line: number) => void;
  handle: React.Ref<LogHandle>;
}

/** Lines of one height, of which only those in sight exist, however many there are. */
export function LogView({ total, lineAt, onWindow, follow, onFollow, marked, hits, current, onLine, handle }: LogProps) {
  const box = useRef<HTMLDivElement>(null);
  const [height, setHeight] = useState(400);
  const [top, setTop] = useState(0);
  const visible = Math.max(1, Math.floor(height / LINE));
  const last = Math.max(0, total - visible);
  const spacer = Math.min(TALLEST, Math.max(height, total * LINE + 8));
  const exact = total * LINE + 8 <= TALLEST;
  const place = Math.min(top, last);

  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const watcher = new ResizeObserver(() => setHeight(host.clientHeight));
    watcher.observe(host);
    return () => watcher.disconnect();
  }, []);

  const scrollTo = useCallback(
    (line: number) => {
      const host = box.current;
      if (host === null) return;
      const to = Math.max(0, Math.min(last, line));
      setTop(to);
      host.scrollTop = exact ? to * LINE : (to / Math.max(1, last)) * (spacer - host.clientHeight);
    },
    [last, exact, spacer],
  );
  useImperativeHandle(handle, () => ({ show: (line: number) => scrollTo(line - Math.floor(visible / 2)) }), [scrollTo, visible]);

  useLayoutEffect(() => {
    if (follow) scrollTo(last);
  }, [follow, last, scrollTo]);
  useEffect(() => onWindow(Math.floor(place), Math.floor(place) + visible + 1), [place, visible, onWindow]);

  const scrolled = () => {
    const host = box.current;
    if (host === null) return;
    const room = spacer - host.clientHeight;
    const atEnd = host.scrollTop >= room - 4;
    // Between two steps of a coarse scrollbar the place set from the keyboard or the wheel is the better one.
    const coarse = (host.scrollTop / Math.max(1, room)) * last;
    if (exact) setTop(Math.min(last, host.scrollTop / LINE));
    else if (Math.abs(coarse - place) > (last / Math.max(1, room)) * 1.5) setTop(coarse);
    if (atEnd !== follow && (atEnd || host.scrollTop < room - LINE * 2)) onFollow(atEnd);
  };
  useEffect(() => {
    const host = box.current;
    if (host === null || exact) return;
    const turned = (event: WheelEvent) => {
      event.preventDefault();
      scrollTo(place + event.deltaY / LINE);
    };
    host.addEventListener("wheel", turned, { passive: false });
    return () => host.removeEventListener("wheel", turned);
  }, [exact, place, scrollTo]);
  const pressed = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + visible, PageUp: place - visible, Home: 0, End: last };
    const to = moves[event.key];
    if (to === undefined || event.target !== box.current) return;
    event.preventDefault();
    scrollTo(to);
    onFollow(to >= last);
  };

  const first = Math.floor(place);
  const numbers = Array.from({ length: Math.max(0, Math.min(visible + 2, total - first)) }, (_, n) => first + n);
  const atEnd = place >= last && total > visible;
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions -- what scrolls is reached by keys
    <div ref={box} className={styles["scroll"]} tabIndex={0} role="log" aria-live="off" aria-label="Log" onScroll={scrolled} onKeyDown={pressed} data-testid="log">
      <div style={{ height: spacer }}>
        <div className={styles["window"]} style={{ height }}>
          {/* At the end the last line stands at the lower edge. */}
          <div
            className={`${styles["lines"]} ${styles["nowrap"]}`}
            style={atEnd ? { position: "absolute", bottom: 4, left: 0, right: 0 } : exact ? { transform: `translateY(${-(place - first) * LINE}px)` } : undefined}
          >
            {numbers.map((number) => (
              <LogLine key={number} number={number} line={lineAt(number)} marked={marked} hit={hits.has(number)} current={number === current} onLine={onLine} />
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}
