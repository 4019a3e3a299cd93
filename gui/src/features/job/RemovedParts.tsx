import { Archive } from "lucide-react";

import type { JobDetails } from "@/api/types";
import { Empty } from "@/components/Panel";
import { formatBytes, formatDate } from "@/lib/format";

import styles from "./Overview.module.css";

type Part = JobDetails["removed"][number];

const WORDS: Record<string, string> = {
  log: "log",
  artifacts: "artifacts",
  results: "files that the job made",
  directories: "synchronised directories",
  measurements: "measurements",
};

/** What a job had until a rule of the server removed it; undefined where it has it, or never had. */
export function removedPart(job: JobDetails, what: string): Part | undefined {
  return job.removed.find((part) => part.what === what);
}

/** In the place of what is not kept any more. */
export function RemovedPart({ part }: { part: Part }) {
  return (
    <Empty icon={Archive} title="Not kept any more">
      <p>{sentence(part)}</p>
    </Empty>
  );
}

/** All that is not kept any more, for the first page of a job. */
export function RemovedParts({ job }: { job: JobDetails }) {
  if (job.removed.length === 0) return null;
  return (
    <div className={styles["state"]}>
      <Archive aria-hidden />
      <div>
        <strong>Not kept any more</strong>
        {job.removed.map((part) => (
          <p key={part.what}>{sentence(part)}</p>
        ))}
      </div>
    </div>
  );
}

function sentence(part: Part): string {
  const what = WORDS[part.what] ?? part.what;
  return `The ${what} (${formatBytes(part.size)}) went on ${formatDate(part.time)} by the rule “${part.rule}”.`;
}
