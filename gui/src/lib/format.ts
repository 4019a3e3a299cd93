/** Numbers, times and names as the pages show them. */

const DAY = 86_400;

/** Five significant digits; very large and very small numbers in exponent form. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) return trimmed(value.toExponential(3));
  return String(Number(value.toPrecision(5)));
}

function trimmed(text: string): string {
  return text.replace(/\.?0+e/, "e").replace("e+", "e");
}

/** Any value that a job recorded, in one line. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return formatNumber(value);
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "true" : "false";
  return JSON.stringify(value);
}

export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  const s = Math.max(0, seconds);
  if (s < 0.0995) return `${Number((s * 1000).toPrecision(2))} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  if (whole < DAY) {
    return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  }
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / 3600)} h`;
}

/** A duration as axes write it: `1 min`, not `1 min 00 s`. */
export function formatSpan(seconds: number): string {
  return seconds === 0 ? "0" : formatDuration(seconds).replace(/ 0+ (s|min|h)$/, "");
}

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

export function formatBytes(bytes: number): string {
  return inUnits(bytes, 1000, UNITS);
}

/** Bytes of memory in powers of 1024, as `--ram` and the query language take them: up to TB. */
export function formatMemory(bytes: number): string {
  return inUnits(bytes, 1024, UNITS.slice(0, -1));
}

function inUnits(bytes: number, step: number, units: readonly string[]): string {
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= step;
    unit += 1;
  }
  return `${unit === 0 ? size : Number(size.toPrecision(3))} ${units[unit]}`;
}

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const SHORT_DATE = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const LONG_DATE = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** The full date and time in the reader's own zone. */
export function formatDate(seconds: number): string {
  return DATE.format(seconds * 1000);
}

/** How long ago, as short as it stays clear. */
export function formatAgo(seconds: number, now: number): string {
  const age = now - seconds;
  if (age < 45) return "just now";
  if (age < 3570) return `${Math.max(1, Math.round(age / 60))} min ago`;
  if (age < DAY) return `${Math.round(age / 3600)} h ago`;
  if (age < 7 * DAY) return `${Math.round(age / DAY)} d ago`;
  const date = new Date(seconds * 1000);
  const sameYear = date.getFullYear() === new Date(now * 1000).getFullYear();
  return (sameYear ? SHORT_DATE : LONG_DATE).format(date);
}

export function formatClock(seconds: number): string {
  return CLOCK.format(seconds * 1000);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export function shortId(jobId: string): string {
  return jobId.slice(0, 8);
}

/** What a shell needs to take `text` as one word. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
