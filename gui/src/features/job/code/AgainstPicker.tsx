import { useQuery } from "@tanstack/react-query";
import { ChevronDown } from "lucide-react";
import { type ReactNode } from "react";

import { jobOptions, listing } from "@/api/queries";
import type { JobDetails } from "@/api/types";
import { Button } from "@/components/Button";
import { Menu, MenuItem, MenuLabel } from "@/components/Menu";
import { Status } from "@/components/Status";
import { useNow } from "@/lib/clock";
import { formatAgo, shortId } from "@/lib/format";

/** The job to compare with: the one that this repeats, or another of the project. */
export function AgainstPicker({ job, value, onPick, children }: { job: JobDetails; value: string | undefined; onPick: (jobId: string) => void; children?: ReactNode }) {
  const now = useNow(false);
  const chosen = useQuery({ ...jobOptions(value ?? ""), enabled: value !== undefined });
  const { data } = useQuery({
    queryKey: ["neighbours", job.project],
    queryFn: ({ signal }) => listing({ project: job.project }, { limit: 40, columns: "" }, signal),
  });
  const others = (data?.jobs ?? []).filter((other) => other.job_id !== job.job_id);
  const label = chosen.data ? (chosen.data.name ?? shortId(chosen.data.job_id)) : value && shortId(value);
  return (
    <Menu
      trigger={
        <Button small>
          {children ?? <>with {label}</>}
          <ChevronDown aria-hidden />
        </Button>
      }
    >
      {job.rerun_of != null && <MenuItem onSelect={() => onPick(job.rerun_of as string)}>The job that it repeats: {shortId(job.rerun_of)}</MenuItem>}
      <MenuLabel>{others.length > 0 ? "Newest jobs of the project" : "There is no other job"}</MenuLabel>
      {others.map((other) => (
        <MenuItem key={other.job_id} icon={<Status state={other.state} bare />} onSelect={() => onPick(other.job_id)}>
          <span>{other.name ?? shortId(other.job_id)}</span>
          <span style={{ marginLeft: "auto", color: "var(--ink-3)" }}>{formatAgo(other.submitted_at, now)}</span>
        </MenuItem>
      ))}
    </Menu>
  );
}
