import { X } from "lucide-react";
import { type PointerEvent, useEffect, useMemo, useRef, useState } from "react";

import { type Brush, brushOf, type Cell, isBrushed, place, type Scale, scaleFor, stretchOf, ticks } from "@/lib/axes";
import { scaleColor } from "@/lib/colors";
import { useIsDark } from "@/lib/theme";

import styles from "./ParallelPlot.module.css";

export interface Axis {
  id: string;
  title: string;
  values: readonly Cell[];
}

interface Props {
  axes: readonly Axis[];
  /** The axis whose values colour the lines. */
  colorBy: string | undefined;
  brushes: ReadonlyMap<string, Brush>;
  onBrush: (id: string, brush: Brush | null) => void;
  /** An axis was dragged to the place of another. */
  onMove: (id: string, to: string) => void;
  height?: number;
}

const TOP = 34;
const BOTTOM = 14;
const SIDE = 64;
const NARROWEST = 116;
const SHADES = 24;

/** Each job is a line through its values; drag along an axis to choose some of them. */
export function ParallelPlot({ axes, colorBy, brushes, onBrush, onMove, height = 320 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(box);
  const dark = useIsDark();
  const scales = useMemo(() => axes.map((axis) => scaleFor(axis.values)), [axes]);
  const inner = Math.max(width, SIDE * 2 + (axes.length - 1) * NARROWEST);
  const xOf = (index: number) => (axes.length === 1 ? inner / 2 : SIDE + (index * (inner - 2 * SIDE)) / (axes.length - 1));
  const span = height - TOP - BOTTOM;

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || width === 0) return;
    const frame = requestAnimationFrame(() => draw(context, { axes, scales, colorBy, brushes, inner, height, dark }));
    return () => cancelAnimationFrame(frame);
  }, [axes, scales, colorBy, brushes, inner, height, dark, width]);

  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by keys
    <div className={styles["plot"]} ref={box} style={{ height }} tabIndex={0} role="group" aria-label="Axes">
      <div style={{ position: "relative", width: inner, height }}>
        <canvas ref={canvas} role="img" aria-label={`${axes[0]?.values.length ?? 0} jobs over ${axes.map((axis) => axis.title).join(", ")}`} />
        {axes.map((axis, index) => (
          <AxisHandle
            key={axis.id}
            axis={axis}
            scale={scales[index] as Scale}
            x={xOf(index)}
            span={span}
            last={index === axes.length - 1 && axes.length > 1}
            brush={brushes.get(axis.id)}
            onBrush={(brush) => onBrush(axis.id, brush)}
            onMove={onMove}
          />
        ))}
      </div>
    </div>
  );
}

function AxisHandle({
  axis,
  scale,
  x,
  span,
  last,
  brush,
  onBrush,
  onMove,
}: {
  axis: Axis;
  scale: Scale;
  x: number;
  span: number;
  last: boolean;
  brush: Brush | undefined;
  onBrush: (brush: Brush | null) => void;
  onMove: (id: string, to: string) => void;
}) {
  const [drawn, setDrawn] = useState<[number, number] | null>(null);
  const share = (event: PointerEvent<HTMLElement>) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    return Math.min(1, Math.max(0, 1 - (event.clientY - bounds.top) / bounds.height));
  };
  const finish = () => {
    if (drawn === null) return;
    onBrush(Math.abs(drawn[0] - drawn[1]) * span < 4 ? null : brushOf(scale, ...widened(drawn, scale)));
    setDrawn(null);
  };
  const shown = drawn ?? (brush === undefined ? null : stretchOf(scale, brush));
  const [low, high] = shown === null ? [0, 0] : [Math.min(...shown), Math.max(...shown)];
  return (
    <>
      <div
        className={styles["title"]}
        style={{ left: x }}
        title={`${axis.title}: drag to move the axis`}
        draggable
        onDragStart={(event) => event.dataTransfer.setData("application/x-atlas-axis", axis.id)}
        onDragOver={(event) => event.dataTransfer.types.includes("application/x-atlas-axis") && event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          onMove(event.dataTransfer.getData("application/x-atlas-axis"), axis.id);
        }}
      >
        <span>{axis.title}</span>
        {brush !== undefined && (
          <button type="button" aria-label={`Choose all of ${axis.title}`} onClick={() => onBrush(null)}>
            <X aria-hidden />
          </button>
        )}
      </div>
      {ticks(scale, 6).map((tick) => (
        <span key={tick.text} className={styles["tick"]} style={last ? { right: `calc(100% - ${x - 8}px)`, top: TOP + (1 - tick.share) * span } : { left: x + 6, top: TOP + (1 - tick.share) * span }}>
          {tick.text}
        </span>
      ))}
      <div
        className={styles["axis"]}
        style={{ left: x, height: span }}
        data-axis={axis.id}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const at = share(event);
          setDrawn([at, at]);
        }}
        onPointerMove={(event) => drawn !== null && setDrawn([drawn[0], share(event)])}
        onPointerUp={finish}
        onPointerCancel={() => setDrawn(null)}
      >
        {shown !== null && (
          <div className={styles["brush"]} style={{ top: `calc(${(1 - high) * 100}% - ${scale.kind === "word" && drawn === null ? 6 : 0}px)`, height: `calc(${(high - low) * 100}% + ${scale.kind === "word" && drawn === null ? 12 : 0}px)` }} />
        )}
      </div>
    </>
  );
}

/** A word is meant where the stroke comes near it. */
function widened([from, to]: [number, number], scale: Scale): [number, number] {
  if (scale.kind === "number") return [from, to];
  const room = 0.3 / Math.max(1, scale.words.length - 1);
  return [Math.min(from, to) - room, Math.max(from, to) + room];
}

interface Drawing {
  axes: readonly Axis[];
  scales: readonly Scale[];
  colorBy: string | undefined;
  brushes: ReadonlyMap<string, Brush>;
  inner: number;
  height: number;
  dark: boolean;
}

function draw(context: CanvasRenderingContext2D, { axes, scales, colorBy, brushes, inner, height, dark }: Drawing): void {
  const ratio = devicePixelRatio || 1;
  context.canvas.width = inner * ratio;
  context.canvas.height = height * ratio;
  context.canvas.style.width = `${inner}px`;
  context.canvas.style.height = `${height}px`;
  context.scale(ratio, ratio);
  const count = axes[0]?.values.length ?? 0;
  if (axes.length < 2) return;
  const span = height - TOP - BOTTOM;
  const step = (inner - 2 * SIDE) / (axes.length - 1);
  const colored = axes.findIndex((axis) => axis.id === colorBy);
  const brushed = axes.map((axis) => brushes.get(axis.id));
  // Lines of one shade are one path: strokes cost, points do not.
  const paths = Array.from({ length: SHADES }, () => new Path2D());
  const behind = new Path2D();
  for (let job = 0; job < count; job += 1) {
    const fits = brushed.every((brush, index) => brush === undefined || isBrushed(brush, axes[index]?.values[job] ?? null));
    let path = behind;
    if (fits) {
      const share = colored < 0 ? 0.5 : place(scales[colored] as Scale, axes[colored]?.values[job] ?? null);
      if (share !== null) path = paths[Math.round(Math.min(1, Math.max(0, share)) * (SHADES - 1))] as Path2D;
    }
    let pen = false;
    let lastY = 0;
    axes.forEach((axis, index) => {
      const at = place(scales[index] as Scale, axis.values[job] ?? null);
      if (at === null) {
        pen = false;
        return;
      }
      const x = SIDE + index * step;
      const y = TOP + (1 - at) * span;
      if (pen) path.bezierCurveTo(x - step * 0.4, lastY, x - step * 0.4, y, x, y);
      else path.moveTo(x, y);
      lastY = y;
      pen = true;
    });
  }
  const alpha = Math.max(0.12, Math.min(0.85, 60 / Math.max(1, count)));
  context.lineWidth = 1;
  context.strokeStyle = dark ? "rgb(150 152 168 / 0.16)" : "rgb(110 112 130 / 0.14)";
  context.stroke(behind);
  context.lineWidth = 1.3;
  paths.forEach((path, shade) => {
    context.strokeStyle = scaleColor(shade / (SHADES - 1), dark, alpha);
    context.stroke(path);
  });
}



export function useWidth(box: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const host = box.current;
    if (host === null) return;
    const watcher = new ResizeObserver(() => setWidth(host.clientWidth));
    watcher.observe(host);
    setWidth(host.clientWidth);
    return () => watcher.disconnect();
  }, [box]);
  return width;
}
