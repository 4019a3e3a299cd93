import { useNavigate, useSearch } from "@tanstack/react-router";
import { GitCompareArrows } from "lucide-react";
import { useMemo, useState } from "react";

import { useQueries } from "@tanstack/react-query";

import { concerns, jobOptions, useRefresh } from "@/api/queries";
import type { JobDetails } from "@/api/types";
import { Switch } from "@/components/Field";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { plural } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import { ArtifactsCompared } from "./ArtifactsCompared";
import { CodeCompared } from "./CodeCompared";
import { CurvesCompared } from "./CurvesCompared";
import { DifferenceTable } from "./DifferenceTable";
import { type CompareSearch, parseCompareSearch } from "./search";

/** Two to fifty jobs beside each other. */
export function ComparePage() {
  const search = useSearch({ from: "/compare" });
  const navigate = useNavigate({ from: "/compare" });
  useTitle(`Compare ${plural(search.jobs.length, "job")}`);
  const [onlyDifferent, setOnlyDifferent] = useState(true);
  const answers = useQueries({ queries: search.jobs.map(jobOptions) });
  useRefresh(["job"], concerns(...search.jobs), 1500);
  const key = answers.map((answer) => answer.dataUpdatedAt).join();
  const jobs = useMemo(() => answers.flatMap((answer): JobDetails[] => (answer.data ? [answer.data] : [])), [key]); // eslint-disable-line react-hooks/exhaustive-deps
  const remove = (jobId: string) => void navigate({ search: (old: CompareSearch) => parseCompareSearch({ ...old, jobs: old.jobs.filter((id) => id !== jobId) }), replace: true });
  const error = answers.find((answer) => answer.error !== null)?.error;
  if (search.jobs.length < 2) return <TooFew />;
  return (
    <main id="main" className={page["page"]} style={{ maxWidth: "none" }}>
      <div className={page["top"]}>
        <h1>Compare {plural(search.jobs.length, "job")}</h1>
        <Switch label="Only what differs" checked={onlyDifferent} onChange={setOnlyDifferent} />
      </div>
      {error != null && <Trouble error={error} />}
      {jobs.length === 0 && error == null && <Skeleton height={300} />}
      {jobs.length > 0 && (
        <>
          <CurvesCompared jobs={jobs} />
          <DifferenceTable jobs={jobs} onlyDifferent={onlyDifferent} onRemove={remove} />
          <CodeCompared jobs={jobs} />
          <ArtifactsCompared jobs={jobs} />
        </>
      )}
    </main>
  );
}

function TooFew() {
  return (
    <main id="main" className={page["page"]}>
      <Panel flush>
        <Empty icon={GitCompareArrows} title="Nothing to compare">
          <p>Select two to fifty jobs in a table of jobs, then press “Compare”.</p>
        </Empty>
      </Panel>
    </main>
  );
}
