import { Link, Navigate, useParams } from "@tanstack/react-router";
import { ChevronRight, SearchX } from "lucide-react";
import { useMemo, useState } from "react";

import { ApiError } from "@/api/client";
import { useSearchDetails, useSearchRow, useTrials } from "@/api/searches";
import type { SearchDetails, Trial } from "@/api/types";
import { buttonClass } from "@/components/Button";
import { Select } from "@/components/Field";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { Status } from "@/components/Status";
import type { Brush } from "@/lib/axes";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import { BestPanel } from "./BestPanel";
import { BestSoFar } from "./BestSoFar";
import { FrontPlot } from "./FrontPlot";
import { ImportancePanel } from "./ImportancePanel";
import { ParallelTrials } from "./ParallelTrials";
import { ProgressPanel } from "./ProgressPanel";
import { SearchButtons } from "./SearchButtons";
import styles from "./Searches.module.css";
import { Slices } from "./Slices";
import { TrialCurves } from "./TrialCurves";
import { searchQuery, type Shown } from "./trials";
import { TrialsTable } from "./TrialsTable";

/** A search: how far it is, what is best, and what that depends on. */
export function SearchPage() {
  const { name } = useParams({ from: "/searches/$name" });
  useTitle(`${name}: search`);
  const found = useSearchDetails(name);
  const trials = useTrials(name);
  const refused = found.error instanceof ApiError && found.data === undefined && found.error.status < 500;
  const row = useSearchRow(name, refused);
  if (row.data !== undefined) return <Navigate to="/projects/$project/jobs" params={{ project: row.data.project }} search={{ q: searchQuery(name) }} replace />;
  if (refused && row.error !== null) {
    return (
      <main id="main">
        <Empty icon={SearchX} title={`There is no search “${name}”`}>
          <p>{row.error.message}</p>
          <Link to="/projects" className={buttonClass({ kind: "primary" })}>
            All projects
          </Link>
        </Empty>
      </main>
    );
  }
  if (found.data === undefined) {
    return <main id="main" className={page["page"]}>{found.error === null ? <Skeleton height={420} /> : <Trouble error={found.error} retry={() => void found.refetch()} />}</main>;
  }
  return <Whole search={found.data} trials={trials.data} />;
}

function Whole({ search, trials }: { search: SearchDetails; trials: readonly Trial[] | undefined }) {
  const [objective, setObjective] = useState(0);
  const [brushes, setBrushes] = useState<ReadonlyMap<string, Brush>>(() => new Map());
  const shown = useMemo((): Shown => ({ search, trials: trials ?? [], objective }), [search, trials, objective]);
  const { objectives } = search;
  return (
    <main id="main" className={page["page"]} style={{ maxWidth: "none" }}>
      <header className={page["top"]}>
        <div className={styles["titles"]}>
          <nav className={styles["crumbs"]} aria-label="Where this is">
            <Link to="/projects/$project/searches" params={{ project: search.project }}>
              {search.project}
            </Link>
            <ChevronRight aria-hidden size={13} />
            <span>search</span>
          </nav>
          <div className={styles["title"]}>
            <h1>{search.name}</h1>
            <Status state={search.state} badge />
          </div>
        </div>
        {objectives.length > 1 && (
          <Select label="Objective" shown value={String(objective)} options={objectives.map(({ metric }, index) => [String(index), metric] as const)} onChange={(now) => setObjective(Number(now))} />
        )}
        <SearchButtons search={search} />
      </header>
      <div className={page["columns"]}>
        <div className={page["stack"]}>
          <BestSoFar {...shown} />
          {objectives.length > 1 ? <FrontPlot {...shown} /> : <TrialCurves {...shown} />}
        </div>
        <div className={page["stack"]}>
          <ProgressPanel search={search} />
          <BestPanel search={search} objective={objective} />
        </div>
      </div>
      {trials === undefined ? (
        <Skeleton height={300} />
      ) : (
        <>
          <ParallelTrials {...shown} brushes={brushes} onBrushes={setBrushes} />
          <TrialsTable {...shown} brushes={brushes} />
          <ImportancePanel {...shown} />
          <Slices {...shown} />
        </>
      )}
    </main>
  );
}
