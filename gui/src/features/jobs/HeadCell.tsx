import {
  ArrowDown,
  ArrowDownNarrowWide,
  ArrowLeft,
  ArrowRight,
  ArrowUp,
  ArrowUpNarrowWide,
  ChevronDown,
  EyeOff,
  ListFilter,
  Pin,
  PinOff,
} from "lucide-react";
import { type DragEvent, type PointerEvent, type ReactNode, useState } from "react";

import { Menu, MenuItem, MenuLine } from "@/components/Menu";

import { type Column, NAME } from "./columns";
import styles from "./JobsTable.module.css";
import { type Placed, SELECT_WIDTH } from "./layout";

export type Direction = "ascending" | "descending" | "none";

export interface HeadActions {
  sort: (id: string, direction: Direction) => void;
  filter: (column: Column) => void;
  pin: (id: string, on: boolean) => void;
  hide: (id: string) => void;
  /** Put a column beside another. */
  move: (id: string, beside: string, after: boolean) => void;
  shift: (id: string, by: -1 | 1) => void;
  resize: (id: string, width: number) => void;
}

const NEXT: Record<Direction, Direction> = { none: "descending", descending: "ascending", ascending: "none" };
const DRAGGED = "application/x-atlas-column";

export function HeadCell({
  column,
  index,
  gap,
  direction,
  edge,
  last,
  actions,
}: {
  column: Placed;
  index: number;
  /** The width of what is left out before it. */
  gap: number;
  direction: Direction;
  edge: boolean;
  last: boolean;
  actions: HeadActions;
}) {
  const [over, setOver] = useState<"before" | "after" | undefined>();
  const dragged = (event: DragEvent<HTMLElement>) => {
    if (!event.dataTransfer.types.includes(DRAGGED)) return;
    event.preventDefault();
    const box = event.currentTarget.getBoundingClientRect();
    setOver(event.clientX < box.left + box.width / 2 ? "before" : "after");
  };
  const dropped = (event: DragEvent<HTMLElement>) => {
    event.preventDefault();
    setOver(undefined);
    const id = event.dataTransfer.getData(DRAGGED);
    if (id && id !== column.id) actions.move(id, column.id, over === "after");
  };
  const classes = [
    styles["headCell"],
    column.numeric && styles["numeric"],
    column.left !== null && styles["pinned"],
    edge && styles["edge"],
    last && styles["lastPinned"],
  ];
  return (
    <div
      role="columnheader"
      tabIndex={-1}
      aria-colindex={index}
      aria-sort={column.sortable ? direction : undefined}
      className={classes.filter(Boolean).join(" ")}
      style={{ width: column.width, ...(column.left === null ? { marginLeft: gap } : { left: column.left }) }}
      data-over={over}
      onDragOver={dragged}
      onDragLeave={() => setOver(undefined)}
      onDrop={dropped}
    >
      <Sorter column={column} direction={direction} actions={actions} movable />
      <ColumnMenu column={column} actions={actions}>
        <MenuLine />
        <Places column={column} actions={actions} />
      </ColumnMenu>
      <Grip width={column.width} onResize={(width) => actions.resize(column.id, width)} />
    </div>
  );
}

/** The head of the names, which stay where they are. */
export function NameHead({ width, direction, last, actions }: { width: number; direction: Direction; last: boolean; actions: HeadActions }) {
  return (
    <div
      role="columnheader"
      tabIndex={-1}
      aria-colindex={2}
      aria-sort={direction}
      className={`${styles["headCell"]} ${styles["pinned"]} ${last ? styles["lastPinned"] : ""}`}
      style={{ width, left: SELECT_WIDTH }}
    >
      <Sorter column={NAME} direction={direction} actions={actions} />
      <ColumnMenu column={NAME} actions={actions} />
      <Grip width={width} onResize={(now) => actions.resize("name", now)} />
    </div>
  );
}

function Sorter({ column, direction, actions, movable = false }: { column: Column; direction: Direction; actions: HeadActions; movable?: boolean }) {
  return (
    <button
      type="button"
      className={styles["sorter"]}
      disabled={!column.sortable}
      draggable={movable}
      title={column.title}
      onDragStart={(event) => {
        event.dataTransfer.setData(DRAGGED, column.id);
        event.dataTransfer.effectAllowed = "move";
      }}
      onClick={() => actions.sort(column.id, NEXT[direction])}
    >
      <span>{column.title}</span>
      {direction === "descending" && <ArrowDown aria-hidden />}
      {direction === "ascending" && <ArrowUp aria-hidden />}
    </button>
  );
}

function ColumnMenu({ column, actions, children }: { column: Column; actions: HeadActions; children?: ReactNode }) {
  return (
    <Menu
      trigger={
        <button type="button" className={styles["more"]} aria-label={`Column ${column.title}`}>
          <ChevronDown aria-hidden />
        </button>
      }
    >
      {column.sortable && (
        <>
          <MenuItem icon={<ArrowUpNarrowWide aria-hidden />} onSelect={() => actions.sort(column.id, "ascending")}>
            Sort upwards
          </MenuItem>
          <MenuItem icon={<ArrowDownNarrowWide aria-hidden />} onSelect={() => actions.sort(column.id, "descending")}>
            Sort downwards
          </MenuItem>
        </>
      )}
      {column.filter !== null && (
        <MenuItem icon={<ListFilter aria-hidden />} onSelect={() => actions.filter(column)}>
          Filter…
        </MenuItem>
      )}
      {children}
    </Menu>
  );
}

/** Where a column stands, and whether it does. */
function Places({ column, actions }: { column: Placed; actions: HeadActions }) {
  return (
    <>
      <MenuItem icon={<ArrowLeft aria-hidden />} onSelect={() => actions.shift(column.id, -1)}>
        Move left
      </MenuItem>
      <MenuItem icon={<ArrowRight aria-hidden />} onSelect={() => actions.shift(column.id, 1)}>
        Move right
      </MenuItem>
      <MenuItem
        icon={column.left === null ? <Pin aria-hidden /> : <PinOff aria-hidden />}
        onSelect={() => actions.pin(column.id, column.left === null)}
      >
        {column.left === null ? "Pin to the left" : "Let it scroll"}
      </MenuItem>
      <MenuItem icon={<EyeOff aria-hidden />} onSelect={() => actions.hide(column.id)}>
        Hide
      </MenuItem>
    </>
  );
}

/** The edge of a column that is dragged to resize it. From the keyboard widths follow the content well enough. */
export function Grip({ width, onResize }: { width: number; onResize: (width: number) => void }) {
  const [active, setActive] = useState(false);
  const pressed = (event: PointerEvent<HTMLElement>) => {
    event.preventDefault();
    const from = event.clientX;
    const target = event.currentTarget;
    target.setPointerCapture(event.pointerId);
    setActive(true);
    let frame = 0;
    const moved = (now: globalThis.PointerEvent) => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => onResize(width + now.clientX - from));
    };
    const done = () => {
      setActive(false);
      target.removeEventListener("pointermove", moved);
    };
    target.addEventListener("pointermove", moved);
    target.addEventListener("pointerup", done, { once: true });
    target.addEventListener("pointercancel", done, { once: true });
  };
  return <div className={styles["grip"]} data-active={active || undefined} onPointerDown={pressed} />;
}
