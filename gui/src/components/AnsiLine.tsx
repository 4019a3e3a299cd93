import { memo, type ReactNode } from "react";

import { parseAnsi } from "@/lib/ansi";

import styles from "./AnsiLine.module.css";

/** One line of a log in a terminal's colours; `marked` is looked for and lit up. */
export const AnsiLine = memo(function AnsiLine({ line, marked }: { line: string; marked: string }) {
  return parseAnsi(line).map((piece, index) => (
    <span
      key={index}
      className={piece.looks.map((look) => styles[look]).join(" ") || undefined}
      style={piece.color ? { color: piece.color } : undefined}
    >
      {marked ? lit(piece.text, marked) : piece.text}
    </span>
  ));
});

function lit(text: string, marked: string): ReactNode {
  const lower = text.toLowerCase();
  const wanted = marked.toLowerCase();
  const parts: ReactNode[] = [];
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), <mark key={at} className={styles["mark"]}>{text.slice(at, at + wanted.length)}</mark>);
    from = at + wanted.length;
  }
  parts.push(text.slice(from));
  return parts;
}
