import { Link, useParams } from "@tanstack/react-router";
import { Telescope } from "lucide-react";

import { useSearches } from "@/api/searches";
import type { Search } from "@/api/types";
import { StateBar } from "@/components/Meter";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { Status } from "@/components/Status";
import { useNow } from "@/lib/clock";
import { formatAgo, formatDate, formatNumber, plural } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import styles from "./Searches.module.css";
import { searchQuery } from "./trials";

/** The searches of a project, and the loops that programs ran. */
export function SearchesPage() {
  const { project } = useParams({ from: "/projects/$project/searches" });
  useTitle(`${project}: searches`);
  const { data, error, refetch } = useSearches(project);
  return (
    <main id="main" className={page["page"]} style={{ maxWidth: "none" }}>
      {data === undefined ? (
        error === null ? <Skeleton height={200} /> : <Trouble error={error} retry={() => void refetch()} />
      ) : data.length === 0 ? (
        <Panel flush>
          <Empty icon={Telescope} title="No search yet" command="foundations search start space.yaml">
            <p>A file says what to vary and which metric counts; trials run as jobs, and the best one stands here. A program that submits many jobs appears here, too.</p>
          </Empty>
        </Panel>
      ) : (
        <ul className={styles["list"]} data-testid="searches">
          {data.map((search) => (
            <SearchItem key={search.name} search={search} />
          ))}
        </ul>
      )}
    </main>
  );
}

function SearchItem({ search }: { search: Search }) {
  const now = useNow(false);
  const { counts, best, objectives, project, name } = search;
  const loop = search.kind === "loop";
  return (
    <li className={styles["item"]}>
      <div className={styles["what"]}>
        {loop ? (
          <Link to="/projects/$project/jobs" params={{ project }} search={{ q: searchQuery(name) }} className={styles["name"]}>
            {name}
          </Link>
        ) : (
          <Link to="/searches/$name" params={{ name }} className={styles["name"]}>
            {name}
          </Link>
        )}
        <div className={styles["text"]}>{loop ? "jobs that one program submitted" : [search.sampler, search.pruner, objectives.map(({ metric, goal }) => `${goal} ${metric}`).join(", ")].filter(Boolean).join(" · ")}</div>
      </div>
      <div className={styles["standing"]}>
        <Status state={search.state} />
        <div className={styles["text"]}>{search.message}</div>
      </div>
      <div className={styles["counts"]}>
        <span className="num">{countText(search)}</span>
        <StateBar counts={{ ...counts }} />
      </div>
      <div className={styles["best"]}>
        {best?.values?.[0] !== undefined && (
          <>
            <strong className="num">{formatNumber(best.values[0])}</strong>
            <span className={styles["text"]}>{objectives[0]?.metric}</span>
          </>
        )}
      </div>
      <time className={styles["text"]} title={formatDate(search.created_at)}>
        {formatAgo(search.created_at, now)}
      </time>
    </li>
  );
}

function countText({ counts, budget, kind }: Search): string {
  const total = budget.trials === null ? plural(counts.total, kind === "loop" ? "job" : "trial") : `${counts.total.toLocaleString("en")} of ${plural(budget.trials, "trial")}`;
  return [total, counts.running > 0 && `${counts.running} running`, counts.pruned > 0 && `${counts.pruned} pruned`, counts.failed > 0 && `${counts.failed} failed`].filter(Boolean).join(", ");
}
