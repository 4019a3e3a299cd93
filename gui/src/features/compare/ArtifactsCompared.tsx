import { Link } from "@tanstack/react-router";
import { useState } from "react";

import { artifactAddress } from "@/api/actions";
import type { Artifact, JobDetails } from "@/api/types";
import { Select } from "@/components/Field";
import { FileViewer } from "@/components/FileViewer";
import { Panel } from "@/components/Panel";
import { fileKind } from "@/lib/files";
import { shortId } from "@/lib/format";

import styles from "./ComparePage.module.css";

const MOST_VIEWERS = 4;

/** Artifacts of one name side by side. */
export function ArtifactsCompared({ jobs }: { jobs: readonly JobDetails[] }) {
  const [chosen, setChosen] = useState("");
  const keys = sharedKeys(jobs);
  const key = keys.includes(chosen) ? chosen : keys[0];
  if (key === undefined) return null;
  const found = jobs.flatMap((job) => {
    const artifact = job.artifacts.findLast((one) => one.key === key && !one.folder);
    return artifact ? [{ job, artifact }] : [];
  });
  const pictures = found.every(({ artifact }) => fileKind(artifact.filename, artifact.type ?? "") === "image");
  return (
    <Panel title="Artifacts" tools={<Select label="Artifact" value={key} options={keys.map((one) => [one, one] as const)} onChange={setChosen} />}>
      <div className={styles["pictures"]} style={pictures ? undefined : { gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 420px), 1fr))" }}>
        {found.slice(0, pictures ? undefined : MOST_VIEWERS).map(({ job, artifact }) => (
          <figure key={job.job_id}>
            {pictures ? <img src={artifactAddress(job.job_id, key, artifact.version)} alt={`${key} of ${job.name ?? shortId(job.job_id)}`} loading="lazy" /> : <Viewer job={job} artifact={artifact} />}
            <figcaption>
              <Link to="/jobs/$jobId" params={{ jobId: job.job_id }} search={{ tab: "artifacts", show: key }}>
                {job.name ?? shortId(job.job_id)}
              </Link>
            </figcaption>
          </figure>
        ))}
      </div>
      {!pictures && found.length > MOST_VIEWERS && <p style={{ color: "var(--ink-3)", marginTop: 8 }}>Those of the first {MOST_VIEWERS} jobs.</p>}
    </Panel>
  );
}

function Viewer({ job, artifact }: { job: JobDetails; artifact: Artifact }) {
  return (
    <div style={{ display: "flex", height: 320, border: "1px solid var(--line)", borderRadius: 8, overflow: "hidden" }}>
      <FileViewer source={{ name: artifact.filename, type: artifact.type ?? "", size: artifact.size, version: artifact.digest, href: artifactAddress(job.job_id, artifact.key, artifact.version) }} />
    </div>
  );
}

/** Names that several jobs have: pictures first, what a browser cannot show last. */
function sharedKeys(jobs: readonly JobDetails[]): string[] {
  const newest = jobs.flatMap((job) => [...new Map(job.artifacts.map((artifact) => [artifact.key, artifact])).values()]);
  const shared = [...Map.groupBy(newest, (artifact) => artifact.key)].filter(([, those]) => those.length > 1);
  const rank = ([, [first, ...more]]: (typeof shared)[number]) => (first === undefined ? 0 : worth(first) * 1000 + more.length);
  return shared.sort((a, b) => rank(b) - rank(a)).map(([key]) => key);
}

function worth(artifact: Artifact): number {
  const kind = fileKind(artifact.filename, artifact.type ?? "");
  return artifact.folder || kind === "other" ? 0 : kind === "image" ? 2 : 1;
}
