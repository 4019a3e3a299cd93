/** Colours of curves: told apart by people with any colour vision, readable on light and dark. */

const LIGHT = ["#4f46d8", "#d9480f", "#0b8a6b", "#b8369f", "#0b78c4", "#8a6100", "#c4302b", "#5b7c0c", "#6b4fb8", "#3f6f80"];
const DARK = ["#9d97ff", "#ff9f6b", "#4fd1ac", "#f08adb", "#62b8f5", "#e6bd5c", "#ff8f87", "#b1d358", "#c3a9ff", "#8fc3d6"];

export function curveColor(index: number, dark: boolean): string {
  const colors = dark ? DARK : LIGHT;
  return colors[index % colors.length] as string;
}

/** A colour between the two ends of a scale that keeps its order in grey, too; `share` in 0..1. */
export function scaleColor(share: number, dark: boolean, alpha = 1): string {
  const s = Math.min(1, Math.max(0, share));
  const hue = 265 - 215 * s;
  const lightness = dark ? 58 + 20 * s : 42 + 12 * s;
  return `hsl(${hue} 72% ${lightness}% / ${alpha})`;
}
