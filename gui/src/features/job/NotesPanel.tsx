import { useQueryClient } from "@tanstack/react-query";

import { editJob, refresh } from "@/api/actions";
import type { JobDetails } from "@/api/types";
import { EditableMarkdown } from "@/components/EditableMarkdown";

/** What people write about a job. */
export function NotesPanel({ job }: { job: JobDetails }) {
  const client = useQueryClient();
  const save = async (notes: string) => {
    await editJob(job.job_id, { notes: notes.trim() === "" ? null : notes });
    refresh(client, "job", "rows");
  };
  return <EditableMarkdown title="Notes" text={job.notes ?? ""} empty="What did this job teach? Markdown is fine." onSave={save} />;
}
