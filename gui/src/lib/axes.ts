/** Scales of plots: numbers, linear or logarithmic, and words; values to places between 0 and 1. */

import { formatNumber, formatValue } from "./format";

export type Cell = number | string | boolean | null;

export interface NumberScale {
  kind: "number";
  log: boolean;
  low: number;
  high: number;
}

export interface WordScale {
  kind: "word";
  words: readonly Cell[];
}

export type Scale = NumberScale | WordScale;

const MOST_WORDS = 60;
const NEAR = 0.02;

/** The scale that suits the values: logarithmic where they span decades. */
export function scaleFor(values: readonly Cell[]): Scale {
  const numbers: number[] = [];
  const words = new Set<Cell>();
  for (const value of values) {
    if (typeof value === "number" && Number.isFinite(value)) numbers.push(value);
    else if (value !== null && !isOdd(value) && words.size <= MOST_WORDS) words.add(value);
  }
  if (words.size > 0) {
    for (const number of new Set(numbers)) words.add(number);
    const sorted = [...words].sort((a, b) => formatValue(a).localeCompare(formatValue(b), undefined, { numeric: true }));
    return { kind: "word", words: sorted.slice(0, MOST_WORDS) };
  }
  let low = Infinity;
  let high = -Infinity;
  for (const number of numbers) {
    if (number < low) low = number;
    if (number > high) high = number;
  }
  if (!Number.isFinite(low)) return { kind: "number", log: false, low: 0, high: 1 };
  if (low === high) {
    const room = Math.abs(low) * 0.1 || 1;
    return { kind: "number", log: false, low: low - room, high: high + room };
  }
  return { kind: "number", log: low > 0 && high / low > 100, low, high };
}

function isOdd(value: Cell): boolean {
  return value === "NaN" || value === "Infinity" || value === "-Infinity";
}

/** Where a value lies, 0 at the lower end; null where it has no place. */
export function place(scale: Scale, value: Cell): number | null {
  if (scale.kind === "word") {
    const index = scale.words.indexOf(value);
    return index < 0 ? null : scale.words.length === 1 ? 0.5 : index / (scale.words.length - 1);
  }
  if (typeof value !== "number" || !Number.isFinite(value)) return null;
  const { low, high, log } = scale;
  if (log) return value <= 0 ? null : (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low));
  return (value - low) / (high - low);
}

/** The value at a place. */
export function valueAt(scale: NumberScale, share: number): number {
  const { low, high, log } = scale;
  return log ? Math.exp(Math.log(low) + share * (Math.log(high) - Math.log(low))) : low + share * (high - low);
}

export function ticks(scale: Scale, count: number): { share: number; text: string }[] {
  if (scale.kind === "word") {
    const step = Math.ceil(scale.words.length / Math.max(2, count * 2));
    return scale.words.flatMap((word, index) => (index % step === 0 ? [{ share: place(scale, word) ?? 0, text: formatValue(word) }] : []));
  }
  return niceValues(scale, count).map((value) => ({ share: place(scale, value) ?? 0, text: formatNumber(value) }));
}

function niceValues({ low, high, log }: NumberScale, count: number): number[] {
  if (log) {
    const from = Math.ceil(Math.log10(low) - 1e-9);
    const to = Math.floor(Math.log10(high) + 1e-9);
    const step = Math.max(1, Math.ceil((to - from) / count));
    const found: number[] = [];
    for (let power = from; power <= to; power += step) found.push(10 ** power);
    return found;
  }
  const raw = (high - low) / count;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * size >= raw) ?? 10) * size;
  const found: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

/** What is brushed of one axis: a stretch of numbers, or words. */
export type Brush = { low: number; high: number } | { words: readonly Cell[] };

/** A stretch of the axis, from 0 to 1, as a brush. */
export function brushOf(scale: Scale, from: number, to: number): Brush {
  const [a, b] = from < to ? [from, to] : [to, from];
  // Who comes near an end means the end.
  if (scale.kind === "number") {
    return { low: a < NEAR ? scale.low : round(valueAt(scale, a)), high: b > 1 - NEAR ? scale.high : round(valueAt(scale, b)) };
  }
  return { words: scale.words.filter((word) => { const at = place(scale, word) ?? -1; return at >= a - 1e-9 && at <= b + 1e-9; }) };
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

export function isBrushed(brush: Brush, value: Cell): boolean {
  if ("words" in brush) return brush.words.includes(value);
  return typeof value === "number" && value >= brush.low && value <= brush.high;
}

/** The stretch that a brush covers on its axis. */
export function stretchOf(scale: Scale, brush: Brush): [number, number] {
  if ("words" in brush) {
    const places = brush.words.map((word) => place(scale, word)).filter((at) => at !== null);
    return places.length === 0 ? [0, 0] : [Math.min(...places), Math.max(...places)];
  }
  const low = place(scale, brush.low) ?? 0;
  const high = place(scale, brush.high) ?? 1;
  return [Math.max(0, low), Math.min(1, high)];
}

/** The axes with `id` at the place of `to`. */
export function moved(ids: readonly string[], id: string, to: string): string[] {
  const others = ids.filter((other) => other !== id);
  const at = ids.indexOf(to);
  return [...others.slice(0, at), id, ...others.slice(at)];
}

/** The brushes with another one, or none, at an axis. */
export function brushed(brushes: ReadonlyMap<string, Brush>, id: string, now: Brush | null): Map<string, Brush> {
  const next = new Map(brushes);
  if (now === null) next.delete(id);
  else next.set(id, now);
  return next;
}
