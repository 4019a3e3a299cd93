/** Pieces of the query language (docs/api.md), put together and taken apart. */

const PLAIN_NAME = /^[A-Za-z0-9_./@%+-]+$/;

/** A name as the language takes it: in quotes where it holds signs that mean something. */
export function quoteName(name: string): string {
  return PLAIN_NAME.test(name) ? name : quoteText(name);
}

export function quoteText(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** `params.lr`, `metrics."val loss"`. */
export function columnName(group: "params" | "metrics" | "tags", name: string): string {
  return `${group}.${quoteName(name)}`;
}

/** A value for a comparison. */
export function literal(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return quoteText(typeof value === "string" ? value : JSON.stringify(value));
}

/** Both conditions; what was there keeps its meaning. */
export function withClause(query: string, clause: string): string {
  const { condition, sort } = splitSort(query);
  const before = condition === "" ? "" : /\bor\b/i.test(condition) ? `(${condition})` : condition;
  return [before && clause ? `${before} and ${clause}` : before || clause, sort].filter(Boolean).join(" ");
}

/** The order stands at the end of a query. */
export function splitSort(query: string): { condition: string; sort: string } {
  const found = /(?:^|\s)(sort:\S.*)$/.exec(query);
  if (found === null || /["']/.test(found[1] ?? "") !== /["'].*["']/.test(found[1] ?? "")) return { condition: query.trim(), sort: "" };
  return { condition: query.slice(0, found.index).trim(), sort: (found[1] ?? "").trim() };
}

const STATES = /(?:^|\s+and\s+)state in \(([a-z, ]*)\)/;

/** The states that a query asks for by `state in (...)` as the buttons write it. */
export function statesOf(query: string): string[] {
  const found = STATES.exec(query);
  return found ? (found[1] ?? "").split(/,\s*/).filter(Boolean) : [];
}

export function withStates(query: string, states: readonly string[]): string {
  const rest = query.replace(STATES, "").replace(/^\s*and\s+/, "").trim();
  return states.length === 0 ? rest : withClause(rest, `state in (${states.join(", ")})`);
}

/** Jobs with any of these tags. */
export function anyTag(names: readonly string[]): string {
  const clauses = names.map((name) => `tag:${quoteName(name)}`);
  return clauses.length > 1 ? `(${clauses.join(" or ")})` : clauses.join("");
}

/** Whether the language takes it as a duration: `90`, `10m`. */
export function isDuration(text: string): boolean {
  return /^\d+(\.\d+)?(ms|s|sec|m|min|h|d|w)?$/i.test(text);
}

/** Whether the language takes it as an amount of memory: `8GB`, `512MiB`. */
export function isSize(text: string): boolean {
  return /^\d+(\.\d+)?(b|[kmgt](i?b)?)?$/i.test(text);
}

/** A range, open where an end is null. */
export function rangeClause(column: string, low: number | string | null, high: number | string | null): string {
  return [low !== null && `${column} >= ${low}`, high !== null && `${column} <= ${high}`].filter(Boolean).join(" and ");
}
