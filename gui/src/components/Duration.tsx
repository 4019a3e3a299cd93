import { useNow } from "@/lib/clock";
import { formatDuration } from "@/lib/format";
import { isActive } from "@/lib/states";

interface Spanning {
  state: string;
  started_at: number | null;
  finished_at: number | null;
}

/** How long a job has run so far, or ran. */
export function Duration({ job }: { job: Spanning }) {
  const ticking = isActive(job.state);
  const now = useNow(ticking);
  if (job.started_at === null) return null;
  const end = job.finished_at ?? (ticking ? now : job.started_at);
  return <>{formatDuration(Math.max(0, end - job.started_at))}</>;
}
