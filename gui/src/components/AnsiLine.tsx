import { memo, type ReactNode } from "react";

import { parseAnsi } from "@/lib/ansi";

import styles from "./AnsiLine.module.css";

/** One line of a log in a terminal's colours; `marked` is looked for and lit up, also where it has several colours. */
export const AnsiLine = memo(function AnsiLine({ line, marked }: { line: string; marked: string }) {
  const pieces = parseAnsi(line);
  const marks = marked ? placesOf(marked, pieces.map((piece) => piece.text).join("")) : [];
  let begin = 0;
  return pieces.map((piece, index) => {
    const from = begin;
    begin += piece.text.length;
    return (
      <span
        key={index}
        className={piece.looks.map((look) => styles[look]).join(" ") || undefined}
        style={piece.color ? { color: piece.color } : undefined}
      >
        {marks.length > 0 ? lit(piece.text, from, marks) : piece.text}
      </span>
    );
  });
});

type Place = readonly [from: number, to: number];

function placesOf(marked: string, text: string): Place[] {
  const lower = text.toLowerCase();
  const wanted = marked.toLowerCase();
  const found: Place[] = [];
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) found.push([at, at + wanted.length]);
  return found;
}

function lit(text: string, begin: number, marks: readonly Place[]): ReactNode {
  const parts: ReactNode[] = [];
  let done = 0;
  for (const [from, to] of marks) {
    const first = Math.max(0, from - begin);
    const last = Math.min(text.length, to - begin);
    if (first >= last) continue;
    parts.push(text.slice(done, first), <mark key={first} className={styles["mark"]}>{text.slice(first, last)}</mark>);
    done = last;
  }
  parts.push(text.slice(done));
  return parts;
}
