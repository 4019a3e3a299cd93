import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Activity, CalendarClock, ChartScatter, Download, FlaskConical, type LucideIcon, Rows3, SearchX, Sigma, Waypoints, X } from "lucide-react";
import { lazy, Suspense, useCallback, useMemo, useState } from "react";

import { type Selection, useColumns, useProject } from "@/api/queries";
import { Button } from "@/components/Button";
import { Segments } from "@/components/Field";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import { Status } from "@/components/Status";
import { plural } from "@/lib/format";
import { STATES } from "@/lib/states";
import { statesOf, withClause, withStates } from "@/lib/query";
import { useTitle } from "@/lib/title";

import { type Brushes, clauseOf, readBrushes, writeBrushes } from "./brushes";
import { ColumnChooser } from "./ColumnChooser";
import { type Column, columnsOf } from "./columns";
import { ExportMenu } from "./ExportMenu";
import { FilterDialog } from "./FilterDialog";
import styles from "./JobsPage.module.css";
import tableStyles from "./JobsTable.module.css";
import { JobsTable } from "./JobsTable";
import { exportedColumns, usualColumns, useLayout } from "./layout";
import type { PanelProps } from "./panels/panel";
import { QueryBox } from "./QueryBox";
import { type JobsSearch, type PanelKind, parseJobsSearch } from "./search";
import { SelectionBar } from "./SelectionBar";
import { useChosen } from "./useChosen";
import { useHeadActions } from "./useHeadActions";
import { useRows } from "./useRows";

// The table is there at once; what draws plots comes with the first of them.
const ParallelPanel = lazy(() => import("./panels/ParallelPanel").then((module) => ({ default: module.ParallelPanel })));
const ScatterPanel = lazy(() => import("./panels/ScatterPanel").then((module) => ({ default: module.ScatterPanel })));
const TimePanel = lazy(() => import("./panels/TimePanel").then((module) => ({ default: module.TimePanel })));
const CurvesPanel = lazy(() => import("./panels/CurvesPanel").then((module) => ({ default: module.CurvesPanel })));
const GroupsPanel = lazy(() => import("./panels/GroupsPanel").then((module) => ({ default: module.GroupsPanel })));

const VIEWS = [
  ["none", <View key="v" icon={Rows3} name="Table" />],
  ["parallel", <View key="v" icon={Waypoints} name="Parallel" />],
  ["scatter", <View key="v" icon={ChartScatter} name="Scatter" />],
  ["time", <View key="v" icon={CalendarClock} name="Time" />],
  ["curves", <View key="v" icon={Activity} name="Curves" />],
  ["groups", <View key="v" icon={Sigma} name="Groups" />],
] as const satisfies (readonly [PanelKind, unknown])[];

function View({ icon: Icon, name }: { icon: LucideIcon; name: string }) {
  return (
    <>
      <Icon aria-hidden />
      <span className={styles["view"]}>{name}</span>
    </>
  );
}

export function JobsPage() {
  const { project } = useParams({ from: "/projects/$project/jobs" });
  const search = useSearch({ from: "/projects/$project/jobs" });
  const navigate = useNavigate({ from: "/projects/$project/jobs" });
  useTitle(`${project}: jobs`);
  const change = useCallback(
    (part: Partial<JobsSearch>) =>
      void navigate({ search: (old: JobsSearch) => parseJobsSearch({ ...old, ...part }), replace: true, resetScroll: false }),
    [navigate],
  );
  const known = useColumns(project);
  const { data: about } = useProject(project);
  const main = about?.metric ?? about?.best?.metric;
  const columns = useMemo(() => columnsOf(known.data, main), [known.data, main]);
  const layout = useLayout(columns, search, project);
  const brushes = useMemo(() => readBrushes(search.brush), [search.brush]);
  const setBrushes = useCallback((now: Brushes) => change({ brush: writeBrushes(now) }), [change]);
  const { q = "", sort } = search;
  const plotted = useMemo((): Selection => ({ project, query: q, sort }), [project, q, sort]);
  const selection = useMemo((): Selection => ({ ...plotted, query: withClause(q, clauseOf(brushes)) }), [plotted, q, brushes]);
  const wanted = useMemo(() => layout.shown.filter((column) => column.group !== "job").map((column) => column.id), [layout.shown]);
  const readColumns = useReadColumns(wanted, layout.shown, search.panel);
  const [inSight, setInSight] = useState<[number, number]>([0, 30]);
  const onWindow = useCallback((first: number, last: number) => setInSight([first, last]), []);
  const rows = useRows(selection, readColumns, ...inSight, known.data !== undefined || known.isError);
  const chosen = useChosen();
  const [filtering, setFiltering] = useState<Column | null>(null);
  const actions = useHeadActions(search, columns, change, layout.resize, setFiltering);
  const panel: PanelProps = { selection: plotted, columns, search, change, jobs: chosen.jobs.length > 0 ? chosen.jobs : rows.loaded };

  return (
    <main id="main" className={styles["page"]}>
      <div className={styles["tools"]}>
        <QueryBox project={project} value={q} onChange={(query) => change({ q: query })} />
        <Segments label="View" value={search.panel ?? "none"} onChange={(kind) => change({ panel: kind, axes: undefined, brush: undefined })} options={VIEWS} />
        <ColumnChooser columns={columns} shown={search.cols ?? usualColumns(columns)} onChange={(cols) => change({ cols })} onReset={() => change({ cols: undefined, pin: undefined })} />
        <ExportMenu selection={selection} columns={exportedColumns(layout.shown, columns)}>
          <Button aria-label="Export">
            <Download aria-hidden />
          </Button>
        </ExportMenu>
      </div>
      <Chips project={project} query={q} onQuery={(query) => change({ q: query })} total={rows.total} brushed={brushes.size > 0} onUnbrush={() => setBrushes(new Map())} />
      <Suspense fallback={<Skeleton height={300} />}>
        {search.panel === "parallel" && <ParallelPanel {...panel} brushes={brushes} onBrushes={setBrushes} />}
        {search.panel === "scatter" && <ScatterPanel {...panel} onBrushes={setBrushes} />}
        {search.panel === "time" && <TimePanel {...panel} brushes={brushes} onBrushes={setBrushes} />}
        {search.panel === "curves" && <CurvesPanel {...panel} />}
        {search.panel === "groups" && <GroupsPanel {...panel} />}
      </Suspense>
      <div className={styles["holder"]}>
        <div className={tableStyles["frame"]} style={{ flex: 1 }}>
          {rows.error !== null && rows.total === undefined ? (
            <Trouble error={rows.error} retry={rows.retry} />
          ) : rows.total === undefined || known.data === undefined ? (
            <Skeleton height={400} />
          ) : rows.total === 0 ? (
            <Nothing query={selection.query ?? ""} project={project} onClear={() => change({ q: undefined, brush: undefined })} />
          ) : (
            <JobsTable rows={rows} layout={layout} sort={sort ?? []} actions={actions} chosen={chosen} onWindow={onWindow} label={`Jobs of ${project}`} />
          )}
        </div>
        <SelectionBar chosen={chosen} selection={selection} columns={exportedColumns(layout.shown, columns)} />
      </div>
      {filtering !== null && (
        <FilterDialog project={project} column={filtering} onClose={() => setFiltering(null)} onFilter={(clause) => change({ q: withClause(q, clause) })} />
      )}
    </main>
  );
}

/** The columns to read: those shown; all where tags are shown together or curves want to know who has what. */
function useReadColumns(wanted: readonly string[], shown: readonly Column[], panel: PanelKind | undefined): readonly string[] | undefined {
  const everything = panel === "curves" || shown.some((column) => column.id === "tags");
  const many = wanted.length > 60;
  const key = wanted.join("\n");
  return useMemo(() => (everything && !many ? undefined : key === "" ? [""] : key.split("\n")), [everything, many, key]);
}

function Chips({ project, query, onQuery, total, brushed, onUnbrush }: { project: string; query: string; onQuery: (query: string) => void; total: number | undefined; brushed: boolean; onUnbrush: () => void }) {
  const { data } = useProject(project);
  const states = statesOf(query);
  const toggle = (state: string) => onQuery(withStates(query, states.includes(state) ? states.filter((other) => other !== state) : [...states, state]));
  const present = STATES.filter((state) => (data?.jobs[state] ?? 0) > 0 || states.includes(state));
  return (
    <div className={styles["chips"]} role="group" aria-label="States">
      {present.map((state) => (
        <button key={state} type="button" className={styles["chip"]} aria-pressed={states.includes(state)} onClick={() => toggle(state)}>
          <Status state={state} />
          <span className={`${styles["count"]} num`}>{(data?.jobs[state] ?? 0).toLocaleString("en")}</span>
        </button>
      ))}
      {brushed && (
        <span className={styles["brushed"]}>
          chosen in the plot
          <button type="button" aria-label="Choose all in the plot" onClick={onUnbrush}>
            <X aria-hidden />
          </button>
        </span>
      )}
      <span className={`${styles["found"]} num`} role="status">
        {total !== undefined && plural(total, "job")}
      </span>
    </div>
  );
}

function Nothing({ query, project, onClear }: { query: string; project: string; onClear: () => void }) {
  if (query !== "") {
    return (
      <Empty icon={SearchX} title="No job fits">
        <p>
          The query <code>{query}</code> finds nothing in this project.
        </p>
        <Button onClick={onClear}>Show all jobs</Button>
      </Empty>
    );
  }
  return (
    <Empty icon={FlaskConical} title="No jobs yet" command={`foundations submit --project-name '${project}' scheduler . main.py`}>
      <p>Submit a folder to this project, and its jobs appear here while they run.</p>
    </Empty>
  );
}
