/** Curves as the server sends them to what charts draw. */

/** What a chart counts along: steps, seconds since the beginning, or times. */
export type XKind = "step" | "relative" | "time";

interface CurveLike {
  seq: readonly number[];
  step: readonly (number | null)[];
  time: readonly number[];
  value: readonly (number | string)[];
}

/** The x values: steps where there are any (else the count), seconds since the first point, or times. */
export function axisOf(curve: CurveLike, kind: XKind): number[] {
  if (kind === "time") return [...curve.time];
  if (kind === "relative") {
    const first = curve.time[0] ?? 0;
    return curve.time.map((time) => time - first);
  }
  const stepped = curve.step.every((step) => step !== null);
  return stepped ? (curve.step as number[]).slice() : [...curve.seq];
}

/** The y values; what is no finite number leaves a gap. */
export function numbersOf(curve: CurveLike): (number | null)[] {
  return curve.value.map((value) => (typeof value === "number" ? value : null));
}

/** Points in the order of x, as charts need them; a step that comes twice keeps its last value. */
export function inOrder(x: readonly number[], y: readonly (number | null)[]): { x: number[]; y: (number | null)[] } {
  let sorted = true;
  for (let i = 1; i < x.length && sorted; i += 1) sorted = (x[i] as number) > (x[i - 1] as number);
  if (sorted) return { x: [...x], y: [...y] };
  const byX = new Map<number, number | null>();
  x.forEach((value, index) => byX.set(value, y[index] ?? null));
  const entries = [...byX].sort((a, b) => a[0] - b[0]);
  return { x: entries.map(([value]) => value), y: entries.map(([, value]) => value) };
}
