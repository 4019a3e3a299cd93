import { useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowDownToLine, ArrowUpToLine, ChevronDown, ChevronUp, Download, ScrollText } from "lucide-react";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";

import { address, part } from "@/api/client";
import type { JobDetails } from "@/api/types";
import { buttonClass, IconButton } from "@/components/Button";
import { SearchInput, Select, Switch } from "@/components/Field";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { formatBytes } from "@/lib/format";
import { isActive, isFinal } from "@/lib/states";
import { keep, recall } from "@/lib/storage";

import { type JobSearch, parseJobSearch } from "../search";
import { type LogHandle, LogView } from "./LogView";
import styles from "./LogsTab.module.css";
import { useLog } from "./useLog";
import { useLogSearch } from "./useLogSearch";
import { WrappedLog } from "./WrappedLog";

// Heights of that many lines are measured as they come in sight; more stand in lines of one height.
const MOST_WRAPPED = 200_000;

export function LogsTab({ job }: { job: JobDetails }) {
  const { attempt = 0, line } = useSearch({ from: "/jobs/$jobId" });
  const navigate = useNavigate({ from: "/jobs/$jobId" });
  const change = (now: JobSearch) => void navigate({ search: (old: JobSearch) => parseJobSearch({ ...old, ...now }), replace: true, resetScroll: false });
  const log = useLog(job, attempt);
  const search = useLogSearch(job.job_id, attempt);
  const view = useRef<LogHandle>(null);
  const [wrap, setWrap] = useState(() => recall("log.wrap", true));
  const [follow, setFollow] = useState(line === undefined);
  const wrapping = wrap && (log.total ?? 0) <= MOST_WRAPPED;
  const Shown = wrapping ? WrappedLog : LogView;
  const running = isActive(job.state) && attempt === 0;

  const ready = log.total !== undefined && log.total > 0;
  useEffect(() => {
    if (ready && line !== undefined) view.current?.show(line - 1);
  }, [ready, line]);
  const { current } = search;
  useEffect(() => {
    if (current !== null) {
      setFollow(false);
      view.current?.show(current);
    }
  }, [current]);

  if (job.attempts === 0) return <NotYet />;
  if (log.total === undefined) return log.error === null ? <Skeleton height={400} /> : <Trouble error={log.error} />;
  return (
    <section className={styles["frame"]} aria-label="Log">
      <div className={styles["tools"]}>
        <Finder search={search} />
        {job.attempts > 1 && (
          <Select
            label="Attempt"
            shown
            value={String(attempt)}
            options={[["0", `${job.attempts} (newest)`], ...Array.from({ length: job.attempts - 1 }, (_, n) => [String(job.attempts - 1 - n), String(job.attempts - 1 - n)] as const)]}
            onChange={(value) => change({ attempt: Number(value), line: undefined })}
          />
        )}
        <div className={styles["right"]}>
          {running && <span className={styles["live"]}>live</span>}
          <span className="num">
            {log.total.toLocaleString("en")} lines, {formatBytes(log.size)}
          </span>
          <Switch
            label="Wrap"
            checked={wrapping}
            onChange={(on) => {
              setWrap(on);
              keep("log.wrap", on);
            }}
          />
          <Switch label="Follow" checked={follow} onChange={setFollow} />
          <span>
            <IconButton label="To the beginning" small onClick={() => { setFollow(false); view.current?.show(0); }}>
              <ArrowUpToLine aria-hidden />
            </IconButton>
            <IconButton label="To the end" small onClick={() => setFollow(true)}>
              <ArrowDownToLine aria-hidden />
            </IconButton>
            <a href={address(`/jobs/${part(job.job_id)}/logs`, { attempt: attempt || undefined })} download={`${job.job_id}.log`} className={buttonClass({ kind: "quiet", small: true }, true)} aria-label="Download the log">
              <Download aria-hidden />
            </a>
          </span>
        </div>
      </div>
      {log.total === 0 ? (
        <Empty icon={ScrollText} title={isFinal(job.state) ? "It printed nothing" : "Nothing printed yet"}>
          <p>What the program writes to its output and errors stands here, as it comes.</p>
        </Empty>
      ) : (
        <Shown
          handle={view}
          total={log.total}
          lineAt={log.lineAt}
          onWindow={log.want}
          follow={follow}
          onFollow={setFollow}
          marked={search.text}
          hits={search.lines}
          current={current ?? (line === undefined ? null : line - 1)}
          onLine={(number) => change({ line: number + 1 })}
        />
      )}
    </section>
  );
}

function Finder({ search }: { search: ReturnType<typeof useLogSearch> }) {
  const [typed, setTyped] = useState("");
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter") return;
    if (typed === search.text) search.step(event.shiftKey ? -1 : 1);
    else search.look(typed);
  };
  return (
    <>
      <SearchInput
        label="Search the log"
        className={styles["find"]}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          if (event.target.value === "") search.look("");
        }}
        onKeyDown={pressed}
      />
      {search.text !== "" && (
        <span className={`${styles["hits"]} num`} role="status">
          {search.busy ? "…" : search.count === 0 ? "not found" : `${search.at + 1} of ${search.count}${search.more ? "+" : ""}`}
          <IconButton label="The one before" small disabled={search.count === 0} onClick={() => search.step(-1)}>
            <ChevronUp aria-hidden />
          </IconButton>
          <IconButton label="The next one" small disabled={search.count === 0} onClick={() => search.step(1)}>
            <ChevronDown aria-hidden />
          </IconButton>
        </span>
      )}
    </>
  );
}

function NotYet() {
  return (
    <Empty icon={ScrollText} title="It has not started">
      <p>The log begins when the job does. Why it waits stands on the overview.</p>
    </Empty>
  );
}
