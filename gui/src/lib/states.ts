/** The states of a job, in the order of its life. */

export const STATES = ["queued", "starting", "running", "stopping", "completed", "failed", "stopped"] as const;

export type JobState = (typeof STATES)[number];

const FINAL = new Set<string>(["completed", "failed", "stopped"]);
const ACTIVE = new Set<string>(["starting", "running", "stopping"]);

export function isFinal(state: string): boolean {
  return FINAL.has(state);
}

export function isActive(state: string): boolean {
  return ACTIVE.has(state);
}

const REASONS: Record<string, string> = {
  nonzero_exit: "exited with an error",
  stop_requested: "stopped by request",
  timed_out: "ran into its time limit",
  out_of_memory: "ran out of memory",
  lost: "its worker was lost",
  start_failed: "could not be started",
  requirements_failed: "its requirements could not be installed",
  pruned: "given up early by its search",
  preempted: "gave way to another job",
};

export function describeReason(reason: string | null): string {
  return reason === null ? "" : (REASONS[reason] ?? reason.replaceAll("_", " "));
}
