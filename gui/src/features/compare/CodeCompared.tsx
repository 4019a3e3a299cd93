import { ArrowRight } from "lucide-react";
import { useState } from "react";

import type { JobDetails } from "@/api/types";
import { CodeDiff } from "@/components/CodeDiff";
import { Select } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { shortId } from "@/lib/format";

import styles from "./ComparePage.module.css";

/** The code that these jobs ran, two versions of it against each other: which files differ, and how. */
export function CodeCompared({ jobs }: { jobs: readonly JobDetails[] }) {
  const [chosen, setChosen] = useState<{ from?: string; to?: string }>({});
  const [show, setShow] = useState<string>();
  const versions = [...Map.groupBy(jobs, (job) => job.bundle)].map(([bundle, those]): [string, string] => [bundle, nameOf(those)]);
  const byBundle = (bundle: string) => jobs.find((job) => job.bundle === bundle)?.job_id ?? "";
  const has = (bundle: string | undefined) => versions.some(([one]) => one === bundle);
  const from = has(chosen.from) ? (chosen.from as string) : (versions[0]?.[0] ?? "");
  const others = versions.filter(([bundle]) => bundle !== from);
  const to = chosen.to !== from && has(chosen.to) ? (chosen.to as string) : others[0]?.[0];
  return (
    <Panel title="Code" count={versions.length > 1 ? `${versions.length} versions` : undefined} flush={to !== undefined}>
      {to === undefined ? (
        <p style={{ color: "var(--ink-2)" }}>All jobs ran the same code.</p>
      ) : (
        <div className={styles["code"]}>
          <CodeDiff
            job={byBundle(to)}
            against={byBundle(from)}
            show={show}
            onShow={setShow}
            tools={
              <div className={styles["versions"]}>
                <Select label="From the code of" value={from} options={versions} onChange={(now) => setChosen({ from: now, to: now === to ? from : to })} />
                <ArrowRight aria-hidden size={15} />
                <Select label="to that of" value={to} options={others} onChange={(now) => setChosen({ from, to: now })} />
              </div>
            }
          />
        </div>
      )}
    </Panel>
  );
}

function nameOf([first, ...more]: readonly JobDetails[]): string {
  const name = first === undefined ? "" : (first.name ?? shortId(first.job_id));
  return more.length === 0 ? name : `${name} and ${more.length} more`;
}
