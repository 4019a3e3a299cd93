/** Exponential smoothing that is not drawn towards zero at its start; `weight` in 0..1. */

export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  const result = new Array<number | null>(values.length);
  let sum = 0;
  let mass = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (value === null || value === undefined || !Number.isFinite(value)) {
      result[i] = null;
      continue;
    }
    sum = sum * weight + (1 - weight) * value;
    mass = mass * weight + (1 - weight);
    result[i] = sum / mass;
  }
  return result;
}
