import { useVirtualizer } from "@tanstack/react-virtual";
import { type RefObject, useEffect, useMemo } from "react";

import { type Layout, type Placed, SELECT_WIDTH } from "./layout";

export interface InSight {
  column: Placed;
  /** Its place among all that are shown. */
  position: number;
  /** The width of what is left out before it. */
  gap: number;
  /** The first of its group. */
  edge: boolean;
}

/** The columns that exist: pinned ones, and those of the others that are in sight. */
export function useColumnsInSight(scroll: RefObject<HTMLElement | null>, layout: Layout): readonly InSight[] {
  const { shown, nameWidth } = layout;
  const pinned = shown.findLastIndex((column) => column.left !== null) + 1;
  const fixed = shown.slice(0, pinned).reduce((width, column) => width + column.width, SELECT_WIDTH + nameWidth);
  const virtual = useVirtualizer({
    horizontal: true,
    count: shown.length - pinned,
    getScrollElement: () => scroll.current,
    estimateSize: (index) => shown[pinned + index]?.width ?? 0,
    paddingStart: fixed,
    // So that the next head can be reached from the keyboard, which brings it into sight.
    overscan: 2,
  });
  useEffect(() => virtual.measure(), [virtual, shown]);
  const items = virtual.getVirtualItems();
  const first = pinned + (items[0]?.index ?? 0);
  const last = pinned + (items.at(-1)?.index ?? -1);
  const gap = (items[0]?.start ?? fixed) - fixed;
  return useMemo(
    () =>
      shown.flatMap((column, position) =>
        position < pinned || (position >= first && position <= last)
          ? { column, position, gap: position === first ? gap : 0, edge: position > 0 && shown[position - 1]?.group !== column.group }
          : [],
      ),
    [shown, pinned, first, last, gap],
  );
}
