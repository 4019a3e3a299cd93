import type { ReactNode } from "react";

import styles from "./Meter.module.css";

interface Props {
  label: string;
  used: number;
  total: number;
  text: ReactNode;
  goal?: boolean;
  /** The label is read out alone: what stands around says it to the others. */
  bare?: boolean;
}

/** How much of something is taken; nearly all of it is a warning, unless it is a goal. */
export function Meter({ label, used, total, text, goal = false, bare = false }: Props) {
  const share = total > 0 ? Math.min(1, used / total) : 0;
  return (
    <div className={styles["meter"]}>
      <div className={styles["line"]}>
        {!bare && <span>{label}</span>}
        <strong className="num">{text}</strong>
      </div>
      <div
        className={styles["track"]}
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={Math.min(used, total)}
      >
        <div className={`${styles["fill"]} ${share >= 0.95 && !goal ? styles["high"] : ""}`} style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}

const PARTS = [
  ["running", ["starting", "running", "stopping"]],
  ["queued", ["queued"]],
  ["completed", ["completed"]],
  ["pruned", ["pruned"]],
  ["failed", ["failed"]],
  ["stopped", ["stopped"]],
] as const;

/** How many jobs are in which state, as lengths; the numbers are read out. */
export function StateBar({ counts }: { counts: Record<string, number | undefined> }) {
  const parts = PARTS.map(([name, states]) => [name, states.reduce((sum, state) => sum + (counts[state] ?? 0), 0)] as const);
  const shown = parts.filter(([, count]) => count > 0);
  const label = shown.map(([name, count]) => `${count} ${name}`).join(", ") || "no jobs";
  return (
    <div className={styles["parts"]} role="img" aria-label={label} title={label}>
      {shown.length === 0 && <span className={styles["stopped"]} style={{ flex: 1, opacity: 0.4 }} />}
      {shown.map(([name, count]) => (
        <span key={name} className={styles[name]} style={{ flex: count }} />
      ))}
    </div>
  );
}
