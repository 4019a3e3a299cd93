import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useImperativeHandle, useRef } from "react";

import { LogLine } from "./LogLine";
import styles from "./LogView.module.css";
import type { LogProps } from "./LogView";

/** Lines that wrap: each is as high as it turns out to be. */
export function WrappedLog({ total, lineAt, onWindow, follow, onFollow, marked, hits, current, onLine, handle }: LogProps) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: total, getScrollElement: () => box.current, estimateSize: () => 20, overscan: 10 });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  const height = virtual.getTotalSize();
  useEffect(() => onWindow(first, last), [first, last, onWindow]);
  useImperativeHandle(handle, () => ({ show: (line: number) => virtual.scrollToIndex(line, { align: "center" }) }), [virtual]);
  // Lines turn out higher than was thought, so that the end moves while one comes near.
  useEffect(() => {
    const host = box.current;
    if (follow && host !== null) host.scrollTop = host.scrollHeight;
  }, [follow, height, total]);
  const scrolled = () => {
    const host = box.current;
    if (host === null) return;
    const away = host.scrollHeight - host.clientHeight - host.scrollTop;
    if (follow && away > 60 && !virtual.isScrolling) return;
    if (away < 4 !== follow && (away < 4 || away > 60)) onFollow(away < 4);
  };
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by keys
    <div ref={box} className={styles["scroll"]} tabIndex={0} role="log" aria-live="off" aria-label="Log" onScroll={scrolled} data-testid="log">
      <div className={styles["lines"]} style={{ height, position: "relative" }}>
        {items.map(({ index, start }) => (
          <div key={index} ref={virtual.measureElement} data-index={index} style={{ position: "absolute", top: 0, left: 0, right: 0, transform: `translateY(${start}px)` }}>
            <LogLine number={index} line={lineAt(index)} marked={marked} hit={hits.has(index)} current={index === current} onLine={onLine} />
          </div>
        ))}
      </div>
    </div>
  );
}
