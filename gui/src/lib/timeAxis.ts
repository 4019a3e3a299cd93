/** Times along the axis of a chart, as the reader's language writes them. */

const MINUTE = 60;
const DAY = 86_400;

/** Round numbers of seconds, to lie between two ticks of an axis of durations. */
export const SPANS = [
  ...[-3, -2, -1].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power)),
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * 60 * MINUTE),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * DAY),
];

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const FRACTIONS = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, hourCycle: "h23" });
const DATE = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const MONTH = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });

/** A text for each tick; `step` seconds lie between two. The day stands below the first of its times. */
export function timeTexts(ticks: readonly number[], step: number): string[] {
  if (step >= 28 * DAY) return ticks.map((tick) => MONTH.format(tick * 1000));
  if (step >= DAY) return ticks.map((tick) => DATE.format(tick * 1000));
  const clock = step >= MINUTE ? CLOCK : step >= 1 ? SECONDS : FRACTIONS;
  let before = "";
  return ticks.map((tick) => {
    const day = DATE.format(tick * 1000);
    const text = clock.format(tick * 1000) + (day === before ? "" : `\n${day}`);
    before = day;
    return text;
  });
}
