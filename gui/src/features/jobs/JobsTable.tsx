import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, type MouseEvent, useEffect, useRef, useState } from "react";

import type { JobRow } from "@/api/types";
import { Checkbox } from "@/components/Field";
import { Status } from "@/components/Status";
import { shortId } from "@/lib/format";

import { NAME } from "./columns";
import { type Direction, type HeadActions, HeadCell, NameHead } from "./HeadCell";
import styles from "./JobsTable.module.css";
import { type Layout, SELECT_WIDTH } from "./layout";
import type { Chosen } from "./useChosen";
import { type InSight, useColumnsInSight } from "./useColumnsInSight";
import type { Rows } from "./useRows";

const ROW = 34;
const HEAD = 58;

interface Props {
  rows: Rows;
  layout: Layout;
  sort: readonly string[];
  actions: HeadActions;
  chosen: Chosen;
  onWindow: (first: number, last: number) => void;
  label: string;
}

/** The table: only rows and columns in sight exist. Arrow keys move, Enter opens, Space selects. */
export function JobsTable({ rows, layout, sort, actions, chosen, onWindow, label }: Props) {
  const scroll = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const navigate = useNavigate();
  const total = rows.total ?? 0;
  const virtual = useVirtualizer({
    count: total,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 8,
    scrollPaddingStart: HEAD,
  });
  const columns = useColumnsInSight(scroll, layout);
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => onWindow(first, last), [first, last, onWindow]);

  const focus = (index: number) => {
    const to = Math.max(0, Math.min(total - 1, index));
    setAt(to);
    virtual.scrollToIndex(to);
    requestAnimationFrame(() => scroll.current?.querySelector<HTMLElement>(`[data-index="${to}"]`)?.focus({ preventScroll: true }));
  };
  const pressed = (event: KeyboardEvent<HTMLElement>) => {
    if ((event.target as Element).closest("button, input, a") && event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const job = rows.row(at);
    const page = Math.max(1, Math.floor(((scroll.current?.clientHeight ?? 400) - HEAD) / ROW) - 1);
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: total - 1 };
    const to = moves[event.key];
    if (to !== undefined) {
      if (event.shiftKey && job) chosen.extend(at, Math.max(0, Math.min(total - 1, to)), rows);
      focus(to);
    } else if ((event.key === " " || event.key === "x") && job) chosen.toggle(job, at);
    else if (event.key === "Enter" && job) void navigate({ to: "/jobs/$jobId", params: { jobId: job.job_id } });
    else if (event.key === "Escape") chosen.clear();
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) chosen.all(total);
    else return;
    event.preventDefault();
  };

  const lastPinned = layout.shown.findLast((column) => column.left !== null)?.id ?? null;
  return (
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions -- the rows in it have the focus
    <div className={`${styles["scroll"]} ${rows.stale ? styles["stale"] : ""}`} ref={scroll} onKeyDown={pressed} tabIndex={-1} data-testid="jobs-scroll">
      <div
        role="grid"
        aria-label={label}
        aria-rowcount={total + 1}
        aria-colcount={layout.shown.length + 2}
        aria-multiselectable
        aria-busy={rows.stale}
        className={styles["table"]}
        style={{ width: layout.total, height: HEAD + virtual.getTotalSize() }}
      >
        <Head layout={layout} columns={columns} sort={sort} actions={actions} chosen={chosen} rows={rows} lastPinned={lastPinned} />
        {items.map(({ index, start }) => {
          const job = rows.row(index);
          return (
            <Row
              key={index}
              index={index}
              top={start + HEAD}
              job={job}
              layout={layout}
              columns={columns}
              lastPinned={lastPinned}
              selected={job !== undefined && chosen.has(job.job_id)}
              focusable={index === at || (at > last && index === first) || (at < first && index === first)}
              onFocus={setAt}
              chosen={chosen}
              rows={rows}
            />
          );
        })}
      </div>
    </div>
  );
}

function Head({
  layout,
  columns,
  sort,
  actions,
  chosen,
  rows,
  lastPinned,
}: Pick<Props, "layout" | "sort" | "actions" | "chosen" | "rows"> & { columns: readonly InSight[]; lastPinned: string | null }) {
  const fixed = SELECT_WIDTH + layout.nameWidth;
  const all = chosen.everything || (rows.loaded.length > 0 && rows.loaded.every((job) => chosen.has(job.job_id)));
  let left = fixed;
  return (
    <div className={styles["head"]} role="rowgroup">
      <div className={styles["groups"]} aria-hidden>
        <div className={`${styles["group"]} ${styles["pinned"]}`} style={{ left: 0, width: fixed }} />
        {layout.groups.map(({ title, width, pinned }, index) => {
          const style = pinned ? { width, left } : { width };
          left += width;
          return (
            <div key={index} className={`${styles["group"]} ${pinned ? styles["pinned"] : ""} ${index > 0 ? styles["edge"] : ""}`} style={style}>
              <span style={pinned ? undefined : { left: fixed + 10 }}>{title}</span>
            </div>
          );
        })}
      </div>
      <div className={styles["heads"]} role="row" aria-rowindex={1}>
        <div role="columnheader" aria-colindex={1} aria-label="Selected" className={`${styles["headCell"]} ${styles["pinned"]} ${styles["select"]}`} style={{ width: SELECT_WIDTH, left: 0 }}>
          <Checkbox
            label="Select all jobs"
            checked={all}
            indeterminate={!all && chosen.count > 0}
            onChange={() => (chosen.count > 0 ? chosen.clear() : chosen.all(rows.total ?? 0))}
          />
        </div>
        <NameHead width={layout.nameWidth} direction={directionOf(NAME.id, sort)} last={lastPinned === null} actions={actions} />
        {columns.map(({ column, position, gap, edge }) => (
          <HeadCell
            key={column.id}
            column={column}
            index={position + 3}
            gap={gap}
            direction={directionOf(column.id, sort)}
            edge={edge}
            last={column.id === lastPinned}
            actions={actions}
          />
        ))}
      </div>
    </div>
  );
}

function directionOf(id: string, sort: readonly string[]): Direction {
  if (sort.includes(id)) return "ascending";
  return sort.includes(`-${id}`) ? "descending" : "none";
}

interface RowProps {
  index: number;
  top: number;
  job: JobRow | undefined;
  layout: Layout;
  columns: readonly InSight[];
  lastPinned: string | null;
  selected: boolean;
  focusable: boolean;
  onFocus: (index: number) => void;
  chosen: Chosen;
  rows: Rows;
}

const Row = memo(function Row({ index, top, job, layout, columns, lastPinned, selected, focusable, onFocus, chosen, rows }: RowProps) {
  const tick = (event: MouseEvent<HTMLInputElement>) => {
    if (job === undefined) return;
    if (event.shiftKey) chosen.extendTo(index, rows);
    else chosen.toggle(job, index);
  };
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      tabIndex={focusable ? 0 : -1}
      data-index={index}
      data-testid="job-row"
      className={styles["row"]}
      style={{ transform: `translateY(${top}px)`, width: layout.total }}
      onFocus={() => onFocus(index)}
    >
      <div role="gridcell" aria-colindex={1} className={`${styles["cell"]} ${styles["pinned"]} ${styles["select"]}`} style={{ width: SELECT_WIDTH, left: 0 }}>
        <Checkbox label={`Select ${job?.name ?? shortId(job?.job_id ?? "")}`} checked={selected} onChange={() => undefined} onClick={tick} tabIndex={-1} />
      </div>
      <div
        role="gridcell"
        aria-colindex={2}
        className={`${styles["cell"]} ${styles["pinned"]} ${lastPinned === null ? styles["lastPinned"] : ""}`}
        style={{ width: layout.nameWidth, left: SELECT_WIDTH }}
      >
        {job && (
          <>
            <Status state={job.state} bare />
            <Link to="/jobs/$jobId" params={{ jobId: job.job_id }} className={styles["name"]} tabIndex={-1} title={job.name ?? job.job_id}>
              {job.name ?? <span className={`mono ${styles["id"]}`}>{shortId(job.job_id)}</span>}
            </Link>
          </>
        )}
      </div>
      {columns.map((place) => (
        <Cell key={place.column.id} {...place} job={job} last={place.column.id === lastPinned} />
      ))}
    </div>
  );
});

function Cell({ column, position, gap, job, edge, last }: InSight & { job: JobRow | undefined; last: boolean }) {
  const content = job === undefined ? <div className={styles["bone"]} /> : column.cell(job);
  const empty = content === null || content === undefined || content === false || content === "";
  const classes = [
    styles["cell"],
    column.numeric && styles["numeric"],
    column.left !== null && styles["pinned"],
    edge && styles["edge"],
    last && styles["lastPinned"],
  ];
  return (
    <div
      role="gridcell"
      aria-colindex={position + 3}
      className={classes.filter(Boolean).join(" ")}
      style={{ width: column.width, ...(column.left === null ? { marginLeft: gap } : { left: column.left }) }}
    >
      {empty ? <span className={styles["none"]}>–</span> : typeof content === "string" || typeof content === "number" ? <span className={styles["text"]}>{content}</span> : content}
    </div>
  );
}
