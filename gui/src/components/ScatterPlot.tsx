import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";

import { type Brush, brushOf, type Cell, place, scaleFor, type Scale, ticks } from "@/lib/axes";
import { scaleColor } from "@/lib/colors";
import { formatValue } from "@/lib/format";
import { useIsDark } from "@/lib/theme";

import { useWidth } from "./ParallelPlot";
import styles from "./ScatterPlot.module.css";

interface Dimension {
  title: string;
  values: readonly Cell[];
}

interface Props {
  x: Dimension;
  y: Dimension;
  color?: Dimension | undefined;
  names: readonly string[];
  height?: number;
  onOpen: (index: number) => void;
  /** A rectangle was drawn: what it covers of both axes. */
  onBrush?: (x: Brush, y: Brush) => void;
}

const LEFT = 66;
const BOTTOM = 40;
const TOP = 14;
const RIGHT = 20;
// Dots at the ends of a scale stay off the edges.
const ROOM = 12;

interface Spot {
  index: number;
  x: number;
  y: number;
  shade: number | null;
}

/** One dot a job: click to open it, drag to choose some. */
export function ScatterPlot({ x, y, color, names, height = 320, onOpen, onBrush }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const dark = useIsDark();
  const scales = useMemo(() => ({ x: scaleFor(x.values), y: scaleFor(y.values) }), [x.values, y.values]);
  const spots = useMemo(() => spotsOf(x, y, color, scales, width, height), [x, y, color, scales, width, height]);
  const [near, setNear] = useState<Spot | null>(null);
  const [drawn, setDrawn] = useState<[number, number, number, number] | null>(null);

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context && width > 0) draw(context, { spots, near, scales, x: x.title, y: y.title, width, height, dark });
  }, [spots, near, scales, x.title, y.title, width, height, dark]);

  const where = (event: PointerEvent): [number, number] => {
    const bounds = (box.current as HTMLDivElement).getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  };
  const moved = (event: PointerEvent) => {
    const [px, py] = where(event);
    if (drawn !== null) setDrawn([drawn[0], drawn[1], px, py]);
    else setNear(nearest(spots, px, py));
  };
  const released = () => {
    if (drawn === null) return;
    setDrawn(null);
    const [x0, y0, x1, y1] = drawn;
    if (Math.hypot(x1 - x0, y1 - y0) < 6) {
      if (near !== null) onOpen(near.index);
      return;
    }
    const across = (at: number) => Math.min(1, Math.max(0, (at - LEFT - ROOM) / (width - LEFT - RIGHT - 2 * ROOM)));
    const up = (at: number) => Math.min(1, Math.max(0, 1 - (at - TOP - ROOM) / (height - TOP - BOTTOM - 2 * ROOM)));
    onBrush?.(brushOf(scales.x, across(x0), across(x1)), brushOf(scales.y, up(y0), up(y1)));
  };

  return (
    <div className={styles["plot"]} ref={box} style={{ height }}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${spots.length} jobs: ${y.title} over ${x.title}`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const [px, py] = where(event);
          setDrawn([px, py, px, py]);
        }}
        onPointerMove={moved}
        onPointerUp={released}
        onPointerLeave={() => setNear(null)}
      />
      {drawn !== null && onBrush !== undefined && (
        <div
          className={styles["box"]}
          style={{ left: Math.min(drawn[0], drawn[2]), top: Math.min(drawn[1], drawn[3]), width: Math.abs(drawn[2] - drawn[0]), height: Math.abs(drawn[3] - drawn[1]) }}
        />
      )}
      {near !== null && drawn === null && (
        <div className={styles["point"]} style={{ top: Math.max(0, near.y - 64), ...(near.x > width / 2 ? { right: width - near.x + 12 } : { left: near.x + 12 }) }}>
          {[names[near.index], `${x.title}: ${formatValue(x.values[near.index])}`, `${y.title}: ${formatValue(y.values[near.index])}`, color ? `${color.title}: ${formatValue(color.values[near.index])}` : null].filter(Boolean).join("\n")}
        </div>
      )}
    </div>
  );
}

function spotsOf(x: Dimension, y: Dimension, color: Dimension | undefined, scales: { x: Scale; y: Scale }, width: number, height: number): Spot[] {
  const shades = color ? scaleFor(color.values) : null;
  const found: Spot[] = [];
  for (let index = 0; index < x.values.length; index += 1) {
    const across = place(scales.x, x.values[index] ?? null);
    const up = place(scales.y, y.values[index] ?? null);
    if (across === null || up === null) continue;
    found.push({
      index,
      x: LEFT + ROOM + across * (width - LEFT - RIGHT - 2 * ROOM),
      y: TOP + ROOM + (1 - up) * (height - TOP - BOTTOM - 2 * ROOM),
      shade: shades && color ? place(shades, color.values[index] ?? null) : null,
    });
  }
  return found;
}

function nearest(spots: readonly Spot[], x: number, y: number): Spot | null {
  let best: Spot | null = null;
  let distance = 14 ** 2;
  for (const spot of spots) {
    const far = (spot.x - x) ** 2 + (spot.y - y) ** 2;
    if (far < distance) {
      distance = far;
      best = spot;
    }
  }
  return best;
}

interface Drawing {
  spots: readonly Spot[];
  near: Spot | null;
  scales: { x: Scale; y: Scale };
  x: string;
  y: string;
  width: number;
  height: number;
  dark: boolean;
}

function draw(context: CanvasRenderingContext2D, { spots, near, scales, x, y, width, height, dark }: Drawing): void {
  const ratio = devicePixelRatio || 1;
  const css = getComputedStyle(document.documentElement);
  const color = (name: string) => css.getPropertyValue(name).trim();
  context.canvas.width = width * ratio;
  context.canvas.height = height * ratio;
  context.canvas.style.width = `${width}px`;
  context.canvas.style.height = `${height}px`;
  context.scale(ratio, ratio);
  const span = { x: width - LEFT - RIGHT, y: height - TOP - BOTTOM };
  context.font = `11px ${color("--font")}`;
  context.fillStyle = color("--ink-3");
  context.strokeStyle = color("--line");
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of ticks(scales.y, 5)) {
    const at = TOP + ROOM + (1 - tick.share) * (span.y - 2 * ROOM);
    context.beginPath();
    context.moveTo(LEFT, at);
    context.lineTo(width - RIGHT, at);
    context.stroke();
    context.fillText(clipped(tick.text, 10), LEFT - 8, at);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of ticks(scales.x, Math.max(4, Math.floor(width / 130)))) context.fillText(clipped(tick.text, 14), LEFT + ROOM + tick.share * (span.x - 2 * ROOM), height - BOTTOM + 8);
  context.fillStyle = color("--ink-2");
  context.font = `500 11.5px ${color("--font")}`;
  context.fillText(x, LEFT + span.x / 2, height - 15);
  context.save();
  context.translate(11, TOP + span.y / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(y, 0, -5);
  context.restore();
  const size = spots.length > 2000 ? 2.4 : 4;
  for (const spot of spots) {
    context.fillStyle = scaleColor(spot.shade ?? 0.15, dark, 0.72);
    context.beginPath();
    context.arc(spot.x, spot.y, size, 0, 7);
    context.fill();
  }
  if (near === null) return;
  context.strokeStyle = color("--ink");
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(near.x, near.y, size + 3, 0, 7);
  context.stroke();
}

function clipped(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
