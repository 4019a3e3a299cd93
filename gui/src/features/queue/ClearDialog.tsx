import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { useMe } from "@/api/accounts";
import { clearQueue, refresh } from "@/api/actions";
import type { Queue } from "@/api/types";
import { Dialog } from "@/components/Dialog";
import { Select } from "@/components/Field";
import { tell } from "@/components/Toasts";
import { plural } from "@/lib/format";

/** All that waits is stopped, or all of one project. */
export function ClearDialog({ queue, onClose }: { queue: Queue; onClose: () => void }) {
  const client = useQueryClient();
  const [project, setProject] = useState("");
  const me = useMe().data?.user;
  // Members clear what is theirs.
  const own = me !== undefined && me !== null && me.role !== "admin";
  const clearable = own ? queue.queued.filter((job) => job.user === me.name) : queue.queued;
  const projects = [...new Set(clearable.map((job) => job.project))].sort();
  const act = async () => {
    const { cleared } = await clearQueue(project || undefined);
    tell("The queue is cleared", `${plural(cleared.length, "job")} stopped`);
    refresh(client, "queue", "server", "rows");
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Clear the queue?"
      text={own ? "Your waiting jobs will be stopped, those of others stay. Running jobs go on." : `${plural(queue.total_queued, "waiting job")} of everybody will be stopped. Running jobs go on.`}
      action={project ? "Stop those of the project" : "Stop all that wait"}
      dangerous
      onAction={act}
    >
      {projects.length > 1 && <Select label="Only of" shown value={project} options={[["", "all projects"], ...projects.map((name) => [name, name] as const)]} onChange={setProject} />}
    </Dialog>
  );
}
