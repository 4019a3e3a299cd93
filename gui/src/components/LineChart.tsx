import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { formatClock, formatDuration, formatNumber, formatSpan } from "@/lib/format";
import type { XKind } from "@/lib/curves";
import { useIsDark } from "@/lib/theme";
import { SPANS, timeTexts } from "@/lib/timeAxis";

import styles from "./LineChart.module.css";

export interface Line {
  name: string;
  color: string;
  x: readonly number[];
  y: readonly (number | null)[];
  /** A line behind: the values before smoothing. */
  faint?: boolean;
  dashed?: boolean;
}

export type { XKind };

interface Props {
  lines: readonly Line[];
  label: string;
  xKind: XKind;
  log?: boolean;
  height?: number;
  /** Charts with one name share the place of the pointer. */
  group?: string;
  /** A stretch was zoomed into; null: all is shown again. */
  onZoom?: (range: readonly [number, number] | null) => void;
}

interface Pointed {
  left: boolean;
  x: number;
  values: { line: Line; value: number }[];
}

/** Curves on a canvas: drag to zoom, double-click to see all again. */
export function LineChart({ lines, label, xKind, log = false, height = 240, group, onZoom }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = useRef(lines);
  const zoomed = useRef(false);
  const told = useRef(onZoom);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  const dark = useIsDark();
  // A new plot where its make-up changes; new points only are given to the one that is there.
  const makeUp = JSON.stringify([lines.map((line) => [line.name, line.color, line.faint, line.dashed]), xKind, log, dark, height, group]);
  const data = useMemo(() => joined(lines), [lines]);
  useEffect(() => {
    shown.current = lines;
    told.current = onZoom;
  });

  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const made = new uPlot(options(), data, host);
    plot.current = made;
    zoomed.current = false;
    const back = () => {
      zoomed.current = false;
      told.current?.(null);
    };
    made.over.addEventListener("dblclick", back);
    const watcher = new ResizeObserver(() => {
      if (host.clientWidth > 0 && host.clientWidth !== made.width) made.setSize({ width: host.clientWidth, height });
    });
    watcher.observe(host);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };

    function options(): uPlot.Options {
      const ink = cssColor("--ink-3");
      const grid = { stroke: cssColor("--line"), width: 1 };
      const font = `11px ${cssColor("--font")}`;
      return {
        width: host?.clientWidth || 300,
        height,
        padding: [10, 12, 0, 0],
        legend: { show: false },
        cursor: {
          drag: { x: true, y: false, uni: 20 },
          points: { size: 7 },
          ...(group ? { sync: { key: group } } : {}),
        },
        scales: { x: { time: xKind === "time" }, y: { distr: log ? 3 : 1, range: log ? undefined : padded } },
        axes: [
          { stroke: ink, font, grid: { show: false }, ticks: { ...grid, size: 4 }, values: xValues(xKind), size: xKind === "time" ? 40 : 30, gap: 4, ...(xKind === "step" ? {} : { space: 76 }), ...(xKind === "relative" ? { incrs: SPANS } : {}) },
          { stroke: ink, font, grid, ticks: { show: false }, size: ySize, gap: 6, values: (_, splits) => splits.map((value) => (value === null ? "" : formatNumber(value))) },
        ],
        series: [
          {},
          ...lines.map((line): uPlot.Series => ({
            label: line.name,
            stroke: line.faint ? withAlpha(line.color, 0.26) : line.color,
            width: line.faint ? 1 : 1.8,
            dash: line.dashed ? [6, 4] : undefined,
            spanGaps: true,
            points: { show: line.y.length === 1 ? true : undefined, size: 5 },
          })),
        ],
        hooks: {
          setCursor: [(made) => setPointed(readOut(made, shown.current))],
          setSelect: [
            (made) => {
              if (made.select.width < 3) return;
              zoomed.current = true;
              told.current?.([made.posToVal(made.select.left, "x"), made.posToVal(made.select.left + made.select.width, "x")]);
            },
          ],
        },
      };
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `makeUp` says all that matters of `lines`
  }, [makeUp]);

  useEffect(() => {
    const made = plot.current;
    if (made === null || made.series.length !== lines.length + 1) return;
    made.setData(data, !zoomed.current);
  }, [data, lines.length]);

  return (
    <div className={styles["chart"]} role="img" aria-label={`${label}: ${summary(lines)}`}>
      <div ref={box} style={{ height }} />
      {pointed !== null && <ReadOut pointed={pointed} xKind={xKind} />}
    </div>
  );
}

function ReadOut({ pointed, xKind }: { pointed: Pointed; xKind: XKind }) {
  const side = pointed.left ? { right: 14 } : { left: 64 };
  return (
    <div className={styles["readout"]} style={side} aria-hidden>
      <table>
        <thead>
          <tr>
            <th colSpan={2}>{xText(pointed.x, xKind)}</th>
          </tr>
        </thead>
        <tbody>
          {pointed.values.slice(0, 14).map(({ line, value }) => (
            <tr key={line.name}>
              <td className={styles["name"]}>
                <span className={styles["dot"]} style={{ background: line.color }} />
                {line.name}
              </td>
              <td className={styles["value"]}>{formatNumber(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** One table of all lines over the union of their x values. */
function joined(lines: readonly Line[]): uPlot.AlignedData {
  if (lines.length === 0) return [[]];
  const first = lines[0] as Line;
  if (lines.every((line) => line.x === first.x)) return [[...first.x], ...lines.map((line) => [...line.y])];
  return uPlot.join(lines.map((line) => [[...line.x], [...line.y]]));
}

function readOut(plot: uPlot, lines: readonly Line[]): Pointed | null {
  const { idx, left } = plot.cursor;
  if (idx == null || left == null || left < 0) return null;
  const values: Pointed["values"] = [];
  lines.forEach((line, index) => {
    if (line.faint) return;
    const value = nearest(plot.data[index + 1] as (number | null | undefined)[], idx);
    if (value !== null) values.push({ line, value });
  });
  if (values.length === 0) return null;
  values.sort((a, b) => b.value - a.value);
  return { left: left < plot.bbox.width / devicePixelRatio / 2, x: plot.data[0][idx] as number, values };
}

/** The value at a place, or the last one before it. */
function nearest(values: (number | null | undefined)[], index: number): number | null {
  for (let i = index; i >= Math.max(0, index - 200); i -= 1) {
    const value = values[i];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

function padded(_: uPlot, low: number, high: number): [number, number] {
  if (low === null || high === null || !Number.isFinite(low)) return [0, 1];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function ySize(_: uPlot, values: string[] | null): number {
  const longest = Math.max(0, ...(values ?? []).map((value) => value.length));
  return Math.max(36, longest * 6.6 + 16);
}

function xValues(kind: XKind): uPlot.Axis.Values {
  if (kind === "time") return (_, splits, __, ___, step) => timeTexts(splits, step);
  return (_, splits) => splits.map((value) => (kind === "step" ? formatNumber(value) : formatSpan(value)));
}

function xText(value: number, kind: XKind): string {
  if (kind === "step") return `step ${formatNumber(value)}`;
  return kind === "relative" ? formatDuration(value) : formatClock(value);
}

function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function withAlpha(color: string, alpha: number): string {
  return `${color}${Math.round(alpha * 255).toString(16).padStart(2, "0")}`;
}

function summary(lines: readonly Line[]): string {
  const clear = lines.filter((line) => !line.faint);
  if (clear.length > 3) return `${clear.length} curves`;
  return clear
    .map((line) => {
      const last = line.y.findLast((value) => value !== null);
      return last == null ? `${line.name} has no values` : `${line.name} ends at ${formatNumber(last)}`;
    })
    .join("; ");
}
