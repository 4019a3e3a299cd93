/** What stands in an address: texts, which may look like numbers or truth values. */

export function textIn(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

export function textsIn(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.flatMap((item) => textIn(item) ?? []) : undefined;
}
