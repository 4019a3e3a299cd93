import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { formatDate, formatNumber } from "@/lib/format";
import { useIsDark } from "@/lib/theme";

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
  height?: number;
}

/** One dot a job over time, with the best so far as a line of steps. */
export function TimelinePlot({ points, goal, log, label, nameOf, onOpen, height = 260 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const dark = useIsDark();
  const [at, setAt] = useState<{ point: TimePoint; left: boolean } | null>(null);
  const latest = useRef({ points, onOpen });
  useEffect(() => {
    latest.current = { points, onOpen };
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
        padding: [10, 14, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: true, y: false }, points: { size: 9 } },
        scales: { x: { time: true }, y: { distr: log ? 3 : 1 } },
        axes: [
          { stroke: color("--ink-3"), font, grid: { show: false }, ticks: { ...grid, size: 4 }, size: 38 },
          { stroke: color("--ink-3"), font, grid, ticks: { show: false }, size: 60, values: (_, splits) => splits.map((value) => (value === null ? "" : formatNumber(value))) },
        ],
        series: [
          {},
          { stroke: "transparent", width: 0, points: { show: true, size: points.length > 2000 ? 3 : 6, fill: `${color("--accent")}b0`, stroke: "transparent" } },
          { stroke: color("--good"), width: 1.6, paths: uPlot.paths.stepped?.({ align: 1 }), points: { show: false } },
        ],
        hooks: {
          setCursor: [
            (made) => {
              const { idx, left } = made.cursor;
              const point = idx == null || left == null || left < 0 ? undefined : latest.current.points[idx];
              setAt(point === undefined ? null : { point, left: (left ?? 0) < made.over.clientWidth / 2 });
            },
          ],
        },
      },
      data,
      host,
    );
    const clicked = () => {
      const index = plot.cursor.idx;
      const point = index == null ? undefined : latest.current.points[index];
      if (point !== undefined && plot.select.width < 3) latest.current.onOpen(point.index);
    };
    plot.over.addEventListener("click", clicked);
    const watcher = new ResizeObserver(() => host.clientWidth > 0 && plot.setSize({ width: host.clientWidth, height }));
    watcher.observe(host);
    return () => {
      watcher.disconnect();
      plot.destroy();
    };
  }, [data, log, dark, height, points.length]);

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
