import { useQuery, useQueryClient } from "@tanstack/react-query";

import { bulk, type Bulk, refresh } from "@/api/actions";
import { Dialog } from "@/components/Dialog";
import { complain, tell } from "@/components/Toasts";
import { plural } from "@/lib/format";

type Action = "stop" | "delete" | "rerun";

const WORDS: Record<Action, { verb: string; done: string; text: string }> = {
  stop: { verb: "Stop", done: "Stopped", text: "Running jobs are ended and waiting ones leave the queue. What they recorded stays." },
  delete: { verb: "Delete", done: "Deleted", text: "Code, logs, metrics and artifacts go with them. This cannot be taken back." },
  rerun: { verb: "Rerun", done: "Queued again", text: "Each is queued anew with the same code and parameters." },
};

/** Asks before something is done to many jobs, and says beforehand to how many it can be done. */
export function BulkDialog({ action, order, count, onClose, onDone }: { action: Action; order: Omit<Bulk, "action">; count: number; onClose: () => void; onDone?: () => void }) {
  const client = useQueryClient();
  const { verb, done, text } = WORDS[action];
  const trial = useQuery({
    queryKey: ["bulk-trial", action, order],
    queryFn: () => bulk({ ...order, action, dry_run: true }),
    staleTime: 0,
    gcTime: 0,
  });
  const refused = trial.data?.refused_total ?? 0;
  const able = (trial.data?.matched ?? count) - refused;
  const act = async () => {
    const result = await bulk({ ...order, action, ...(order.query !== undefined && trial.data ? { expected: trial.data.matched } : {}) });
    tell(done, plural(result.done.length, "job"));
    const first = result.refused[0];
    if (first !== undefined) complain(`${plural(result.refused_total, "job")} left as they were`, first.message);
    refresh(client, "rows", "queue", "server", "projects", "job");
    onDone?.();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={`${verb} ${plural(count, "job")}?`}
      text={
        <>
          {text}
          {refused > 0 && (
            <p style={{ marginTop: 8, color: "var(--wait)" }}>
              {plural(refused, "job")} will be left as {refused === 1 ? "it is" : "they are"}: {trial.data?.refused[0]?.message}
            </p>
          )}
        </>
      }
      action={trial.data !== undefined && refused > 0 ? `${verb} ${able}` : verb}
      dangerous={action !== "rerun"}
      disabled={trial.data !== undefined && able === 0}
      onAction={act}
    />
  );
}
