import { useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";

import { editProject, refresh } from "@/api/actions";
import { useProject } from "@/api/queries";
import { EditableMarkdown } from "@/components/EditableMarkdown";
import { StateBar } from "@/components/Meter";
import { Facts, Panel, Skeleton, Trouble } from "@/components/Panel";
import { formatDate, formatNumber } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import { MetricGraph } from "./MetricGraph";
import { Notes } from "./Notes";

/** What a project is for and how it goes. */
export function OverviewPage() {
  const { project: name } = useParams({ from: "/projects/$project/overview" });
  useTitle(`${name}: overview`);
  const client = useQueryClient();
  const { data, error, refetch } = useProject(name);
  const save = async (description: string) => {
    await editProject(name, { description });
    refresh(client, "project", "projects");
  };
  if (data === undefined) {
    return <main id="main" className={page["page"]}>{error === null ? <Skeleton height={400} /> : <Trouble error={error} retry={() => void refetch()} />}</main>;
  }
  return (
    <main id="main" className={page["page"]} style={{ maxWidth: "none" }}>
      <div className={page["columns"]}>
        <div className={page["stack"]}>
          <MetricGraph project={data} />
          <EditableMarkdown title="README" text={data.description} rows={16} empty="What this project is about, for those who come after. Markdown is fine." onSave={save} />
        </div>
        <div className={page["stack"]}>
          <Panel title="Jobs">
            <StateBar counts={data.jobs} />
            <div style={{ height: 12 }} />
            <Facts
              rows={[
                ...Object.entries(data.jobs).map(([state, count]) => [state, count.toLocaleString("en")] as const),
                ["Made", formatDate(data.created_at)],
                data.last_active_at !== null && ["Last activity", formatDate(data.last_active_at)],
                data.best !== null && [`Best ${data.best.metric}`, formatNumber(data.best.value)],
              ]}
            />
          </Panel>
          <Notes project={name} />
        </div>
      </div>
    </main>
  );
}
