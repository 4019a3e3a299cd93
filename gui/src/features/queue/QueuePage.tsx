import { Coffee, ListX } from "lucide-react";
import { useState } from "react";

import { useQueue } from "@/api/queries";
import { Button } from "@/components/Button";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { plural } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import { ClearDialog } from "./ClearDialog";
import { LimitsPanel } from "./LimitsPanel";
import styles from "./QueuePage.module.css";
import { RunningTable } from "./RunningTable";
import { WaitingTable } from "./WaitingTable";

/** What runs where, what waits and why. */
export function QueuePage() {
  useTitle("Queue");
  const { data, error, refetch } = useQueue();
  const [clearing, setClearing] = useState(false);
  const several = new Set(data?.queued.map((job) => job.user)).size > 1;
  return (
    <main id="main" className={page["page"]}>
      <div className={page["top"]}>
        <h1>Queue</h1>
        {data !== undefined && data.total_queued > 0 && (
          <Button kind="danger" onClick={() => setClearing(true)}>
            <ListX aria-hidden />
            Clear the queue
          </Button>
        )}
      </div>
      {data === undefined ? (
        error === null ? <Skeleton height={260} /> : <Trouble error={error} retry={() => void refetch()} />
      ) : data.running.length === 0 && data.total_queued === 0 ? (
        <Panel flush>
          <Empty icon={Coffee} title="Nothing runs and nothing waits" command="foundations submit scheduler my_project main.py">
            <p>Submitted jobs stand here while they run, and while they wait with the reason why.</p>
          </Empty>
        </Panel>
      ) : (
        <>
          <Panel title="Running" count={data.running.length} flush>
            {data.running.length === 0 ? <p className={styles["text"]}>Nothing.</p> : <RunningTable jobs={data.running} />}
          </Panel>
          <Panel title="Waiting" count={data.total_queued} flush>
            {data.queued.length === 0 ? (
              <p className={styles["text"]}>Nothing: the next job starts at once where it fits.</p>
            ) : (
              <>
                <WaitingTable jobs={data.queued} several={several} />
                {several && (
                  <p className={styles["text"]}>
                    Several people wait: a higher priority goes first, then whoever has less of the machines now. The order that you choose counts among jobs of one user; to pass jobs of others, raise the priority.
                  </p>
                )}
              </>
            )}
            {data.total_queued > data.queued.length && <p className={styles["text"]}>The first {data.queued.length} of {plural(data.total_queued, "job")}.</p>}
          </Panel>
        </>
      )}
      <LimitsPanel />
      {clearing && data !== undefined && <ClearDialog queue={data} onClose={() => setClearing(false)} />}
    </main>
  );
}
