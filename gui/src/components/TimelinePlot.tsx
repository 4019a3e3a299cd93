import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import type { Values } from "@/api/types";
import { formatDate, formatNumber } from "@/lib/format";
import { useIsDark } from "@/lib/theme";
import { timeTexts } from "@/lib/timeAxis";

import styles from "./LineChart.module.css";

export interface TimePoint {
  index: number;
  time: number;
  value: number;
}

interface Props {
  points: readonly TimePoint[];
  goal: "min" | "max";
  log: boolean;
  label: string;
  nameOf: (index: number) => string;
  onOpen: (index: number) => void;
  /** A stretch of time was drawn; null: it was taken back. Without, drawing zooms. */
  onBrush?: (stretch: readonly [number, number] | null) => void;
  /** The stretch that is drawn. */
  brush?: readonly [number, number] | null;
  /** Plots with one name share the place of the pointer. */
  group?: string;
  height?: number;
}

// What is shorter, in pixels, is a click.
const LEAST = 3;

/** One dot a job over time, with the best so far as a line of steps. */
export function TimelinePlot({ points, goal, log, label, nameOf, onOpen, onBrush, brush = null, group, height = 260 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const dark = useIsDark();
  const [at, setAt] = useState<{ point: TimePoint; left: boolean } | null>(null);
  const made = useRef<uPlot | null>(null);
  const brushes = onBrush !== undefined;
  const latest = useRef({ points, onOpen, onBrush, brush });
  useEffect(() => {
    latest.current = { points, onOpen, onBrush, brush };
  });
  const data = useMemo((): uPlot.AlignedData => {
    let best = goal === "min" ? Infinity : -Infinity;
    return [
      points.map((point) => point.time),
      points.map((point) => point.value),
      points.map((point) => (best = goal === "min" ? Math.min(best, point.value) : Math.max(best, point.value))),
    ];
  }, [points, goal]);

  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const css = getComputedStyle(document.documentElement);
    const color = (name: string) => css.getPropertyValue(name).trim();
    const font = `11px ${color("--font")}`;
    const grid = { stroke: color("--line"), width: 1 };
    const plot = new uPlot(
      {
        width: host.clientWidth || 300,
        height,
        padding: [10, 28, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: !brushes }, points: { size: 9 }, ...(group ? { sync: { key: group, setSeries: false } } : {}) },
        scales: { x: { time: true, range: withRoom }, y: { distr: log ? 3 : 1 } },
        axes: [
          { stroke: color("--ink-3"), font, grid: { show: false }, ticks: { ...grid, size: 4 }, size: 38, space: 76, values: (_, splits, __, ___, step) => timeTexts(splits, step) },
          { stroke: color("--ink-3"), font, grid, ticks: { show: false }, size: 60, values: (_, splits) => splits.map((value) => (value === null ? "" : formatNumber(value))) },
        ],
        series: [
          {},
          { stroke: "transparent", width: 0, points: { show: true, size: points.length > 2000 ? 3 : 6, fill: `${color("--accent-ink")}b0`, stroke: "transparent" } },
          { stroke: color("--good"), width: 1.6, paths: uPlot.paths.stepped?.({ align: 1 }), points: { show: false } },
        ],
        hooks: {
          setCursor: [
            (plotted) => {
              const { idx, left } = plotted.cursor;
              const point = idx == null || left == null || left < 0 ? undefined : latest.current.points[idx];
              setAt(point === undefined ? null : { point, left: (left ?? 0) < plotted.over.clientWidth / 2 });
            },
          ],
          setSelect: [
            (plotted) => {
              const { left, width } = plotted.select;
              if (width >= LEAST) latest.current.onBrush?.([plotted.posToVal(left, "x"), plotted.posToVal(left + width, "x")]);
            },
          ],
        },
      },
      data,
      host,
    );
    made.current = plot;
    showBrush(plot, latest.current.brush);
    let from = 0;
    const clicked = (event: MouseEvent) => {
      const index = plot.cursor.idx;
      const point = index == null ? undefined : latest.current.points[index];
      if (point !== undefined && Math.abs(event.clientX - from) < LEAST) latest.current.onOpen(point.index);
    };
    plot.over.addEventListener("mousedown", (event) => (from = event.clientX));
    plot.over.addEventListener("click", clicked);
    plot.over.addEventListener("dblclick", () => latest.current.onBrush?.(null));
    const watcher = new ResizeObserver(() => host.clientWidth > 0 && plot.setSize({ width: host.clientWidth, height }));
    watcher.observe(host);
    return () => {
      watcher.disconnect();
      plot.destroy();
      made.current = null;
    };
  }, [data, log, dark, height, points.length, brushes, group]);

  const [from, to] = brush ?? [];
  useEffect(() => {
    if (made.current !== null && brushes) showBrush(made.current, from === undefined || to === undefined ? null : [from, to]);
  }, [from, to, brushes]);

  return (
    <div className={styles["chart"]} role="img" aria-label={`${label} of ${points.length} jobs over time`}>
      <div ref={box} style={{ height }} />
      {at !== null && (
        <div className={styles["readout"]} style={at.left ? { right: 14 } : { left: 66 }} aria-hidden>
          <strong>{nameOf(at.point.index)}</strong>
          <br />
          {label} {formatNumber(at.point.value)}
          <br />
          {formatDate(at.point.time)}
        </div>
      )}
    </div>
  );
}

/** The jobs of a table of values that have both a time and a finite number, in the order of the times. */
export function timePoints(values: Values | undefined, time: string, metric: string): TimePoint[] {
  const numbers = values?.columns[metric] ?? [];
  return (values?.columns[time] ?? []).flatMap((at, index) => {
    const value = numbers[index];
    return typeof at === "number" && typeof value === "number" ? [{ index, time: at, value }] : [];
  });
}

/** Dots at the ends stay off the edges. */
function withRoom(_: uPlot, from: number, to: number): [number, number] {
  const room = (to - from || 60) * 0.02;
  return [from - room, to + room];
}

/** Draws a stretch without telling of it. */
function showBrush(plot: uPlot, brush: readonly [number, number] | null): void {
  const [left, right] = brush === null ? [0, 0] : [plot.valToPos(brush[0], "x"), plot.valToPos(brush[1], "x")];
  plot.setSelect({ left, width: Math.max(0, right - left), top: 0, height: brush === null ? 0 : plot.over.clientHeight }, false);
}
