/** A terminal's colours: text with escape sequences to pieces with class names. Nothing becomes markup. */

export interface Piece {
  text: string;
  /** Names such as `bold` and `red`. */
  looks: readonly string[];
  /** A colour of the 256 or of 24 bits, as CSS. */
  color?: string;
}

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const MODES: Record<number, string> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const ENDS: Record<number, readonly string[]> = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

// Colours and modes; other sequences (moves, titles) are left out of what is shown.
const SEQUENCE = /\u001b(?:\[([0-9;:]*)([A-Za-z])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

interface Style {
  modes: Set<string>;
  name: string | null;
  color: string | null;
}

/** Split one line; what a carriage return overwrote is not shown, as a terminal would not. */
export function parseAnsi(line: string): Piece[] {
  const end = line.endsWith("\r") ? line.slice(0, -1) : line;
  const shown = end.slice(end.lastIndexOf("\r") + 1);
  if (!shown.includes("\u001b")) return [{ text: shown.replace(CONTROL, ""), looks: [] }];
  const style: Style = { modes: new Set(), name: null, color: null };
  const pieces: Piece[] = [];
  let from = 0;
  const push = (text: string) => {
    const clean = text.replace(CONTROL, "");
    if (!clean) return;
    const looks = [...style.modes, ...(style.name ? [style.name] : [])];
    pieces.push(style.color ? { text: clean, looks, color: style.color } : { text: clean, looks });
  };
  for (const found of shown.matchAll(SEQUENCE)) {
    push(shown.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[2] === "m") apply(style, (found[1] ?? "").split(/[;:]/).map(Number));
  }
  push(shown.slice(from));
  return pieces;
}

/** The line as plain text. */
export function stripAnsi(line: string): string {
  return parseAnsi(line).map((piece) => piece.text).join("");
}

function apply(style: Style, codes: number[]): void {
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] as number;
    if (code === 0) {
      style.modes.clear();
      style.name = style.color = null;
    } else if (MODES[code]) style.modes.add(MODES[code]);
    else if (ENDS[code]) for (const mode of ENDS[code]) style.modes.delete(mode);
    else if (code >= 30 && code <= 37) setName(style, code - 30);
    else if (code >= 90 && code <= 97) setName(style, code - 90);
    else if (code === 39) style.name = style.color = null;
    else if (code === 38 || code === 48) {
      const width = codes[i + 1] === 2 ? 4 : 2;
      if (code === 38) setColor(style, codes.slice(i + 1, i + 1 + width));
      i += width;
    }
  }
}

function setName(style: Style, index: number): void {
  style.name = NAMES[index] ?? null;
  style.color = null;
}

function setColor(style: Style, [kind, ...rest]: number[]): void {
  const [a = 0, b = 0, c = 0] = rest;
  if (kind === 2) {
    style.color = `rgb(${clamp(a)} ${clamp(b)} ${clamp(c)})`;
    style.name = null;
  } else if (a < 16) setName(style, a % 8);
  else {
    style.color = a < 232 ? cube(a - 16) : `rgb(${8 + (a - 232) * 10} ${8 + (a - 232) * 10} ${8 + (a - 232) * 10})`;
    style.name = null;
  }
}

function cube(index: number): string {
  const level = (n: number) => (n === 0 ? 0 : 55 + n * 40);
  return `rgb(${level(Math.floor(index / 36))} ${level(Math.floor(index / 6) % 6)} ${level(index % 6)})`;
}

function clamp(value: number): number {
  return Math.max(0, Math.min(255, value || 0));
}
