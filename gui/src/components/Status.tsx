import { CircleCheck, CircleDashed, CircleSlash, CircleX, Clock, Loader, type LucideIcon, Scissors, Trash2 } from "lucide-react";

import styles from "./Status.module.css";

const ICONS: Record<string, LucideIcon> = {
  queued: Clock,
  starting: CircleDashed,
  running: Loader,
  stopping: CircleDashed,
  completed: CircleCheck,
  failed: CircleX,
  stopped: CircleSlash,
  pruned: Scissors,
  deleted: Trash2,
};

/** A job's state: an icon, a word and a colour, never the colour alone. */
export function Status({ state, badge = false, bare = false }: { state: string; badge?: boolean; bare?: boolean }) {
  const Icon = ICONS[state] ?? Clock;
  const turning = state === "running" || state === "starting" || state === "stopping";
  return (
    <span className={`${styles["status"]} ${styles[state] ?? ""} ${badge ? styles["badge"] : ""}`} data-state={state}>
      <Icon aria-hidden className={turning ? styles["turning"] : undefined} strokeWidth={2.1} />
      {bare ? <span className="hidden">{state}</span> : state}
    </span>
  );
}
