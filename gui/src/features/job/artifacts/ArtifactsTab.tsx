import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, File, FileAudio, FileCode, FileImage, FileSpreadsheet, FileText, FileVideo, Folder, type LucideIcon, Package } from "lucide-react";
import { useMemo, useState } from "react";

import { artifactAddress } from "@/api/actions";
import { useArtifacts } from "@/api/queries";
import type { Artifact, JobDetails } from "@/api/types";
import { buttonClass } from "@/components/Button";
import { SearchInput, Select } from "@/components/Field";
import { FileViewer } from "@/components/FileViewer";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import split from "@/components/SplitView.module.css";
import { type FileKind, fileKind } from "@/lib/files";
import { formatBytes, formatClock } from "@/lib/format";

import { type JobSearch, parseJobSearch } from "../search";
import styles from "./ArtifactsTab.module.css";
import { FolderViewer } from "./FolderViewer";

const ICONS: Partial<Record<FileKind, LucideIcon>> = { image: FileImage, audio: FileAudio, video: FileVideo, csv: FileSpreadsheet, html: FileCode, json: FileCode, text: FileText, markdown: FileText, pdf: FileText };

/** What a job saved, newest version first; pictures of one name as a film strip. */
export function ArtifactsTab({ job }: { job: JobDetails }) {
  const { data, error, refetch } = useArtifacts(job.job_id);
  const { show } = useSearch({ from: "/jobs/$jobId" });
  const navigate = useNavigate({ from: "/jobs/$jobId" });
  const [find, setFind] = useState("");
  const [version, setVersion] = useState<{ key: string; number: number } | null>(null);
  const byKey = useMemo(() => Map.groupBy(data ?? [], (artifact) => artifact.key), [data]);
  if (data === undefined) return error === null ? <Skeleton height={320} /> : <Trouble error={error} retry={() => void refetch()} />;
  if (data.length === 0) return <None />;
  const keys = [...byKey.keys()].filter((key) => key.toLowerCase().includes(find.trim().toLowerCase()));
  const key = show !== undefined && byKey.has(show) ? show : (keys[0] ?? [...byKey.keys()][0] ?? "");
  const versions = byKey.get(key) ?? [];
  const shown = versions.find((artifact) => version?.key === key && artifact.version === version?.number) ?? versions.at(-1);
  const open = (name: string) => void navigate({ search: (old: JobSearch) => parseJobSearch({ ...old, show: name }), replace: true, resetScroll: false });
  return (
    <div className={split["split"]}>
      <div className={split["side"]}>
        <div className={split["top"]}>
          <SearchInput label="Find an artifact" value={find} onChange={(event) => setFind(event.target.value)} />
        </div>
        <ul className={split["list"]} aria-label="Artifacts">
          {keys.map((name) => (
            <li key={name}>
              <Item artifacts={byKey.get(name) ?? []} current={name === key} onOpen={() => open(name)} />
            </li>
          ))}
        </ul>
      </div>
      {shown !== undefined && (
        <div className={split["main"]}>
          <Head job={job} artifact={shown} versions={versions} onVersion={(number) => setVersion({ key, number })} />
          {shown.folder ? <FolderViewer jobId={job.job_id} artifact={shown} /> : <FileViewer source={sourceOf(job.job_id, shown)} />}
          {versions.length > 1 && fileKind(shown.filename, shown.type) === "image" && (
            <Gallery jobId={job.job_id} versions={versions} shown={shown} onShow={(number) => setVersion({ key, number })} />
          )}
        </div>
      )}
    </div>
  );
}

export function sourceOf(jobId: string, artifact: Artifact) {
  return {
    name: artifact.filename,
    type: artifact.type,
    size: artifact.size,
    href: artifactAddress(jobId, artifact.key, artifact.version),
    version: artifact.digest,
  };
}

function Item({ artifacts, current, onOpen }: { artifacts: readonly Artifact[]; current: boolean; onOpen: () => void }) {
  const newest = artifacts.at(-1);
  if (newest === undefined) return null;
  const Icon = newest.folder ? Folder : (ICONS[fileKind(newest.filename, newest.type)] ?? File);
  return (
    <button type="button" className={split["item"]} aria-current={current} onClick={onOpen} title={newest.key}>
      <Icon aria-hidden />
      <span>{newest.key}</span>
      <span className={split["aside"]}>{artifacts.length > 1 ? `${artifacts.length} versions` : formatBytes(newest.size)}</span>
    </button>
  );
}

function Head({ job, artifact, versions, onVersion }: { job: JobDetails; artifact: Artifact; versions: readonly Artifact[]; onVersion: (number: number) => void }) {
  return (
    <div className={split["head"]}>
      <h2>
        {artifact.key} {artifact.filename !== artifact.key && <span className={split["dim"]}>{artifact.filename}</span>}
      </h2>
      <span className={`${split["dim"]} num`}>{formatBytes(artifact.size)}</span>
      {versions.length > 1 && (
        <Select
          label="Version"
          value={String(artifact.version)}
          options={[...versions].reverse().map((one) => [String(one.version), labelOf(one)] as const)}
          onChange={(value) => onVersion(Number(value))}
        />
      )}
      <a className={buttonClass({ small: true })} href={artifactAddress(job.job_id, artifact.key, artifact.version, { download: true })} download>
        <Download aria-hidden />
        Download
      </a>
    </div>
  );
}

function labelOf(artifact: Artifact): string {
  return artifact.step != null ? `step ${artifact.step}` : `version ${artifact.version}, ${formatClock(artifact.created_at)}`;
}

function Gallery({ jobId, versions, shown, onShow }: { jobId: string; versions: readonly Artifact[]; shown: Artifact; onShow: (number: number) => void }) {
  return (
    <div className={styles["gallery"]} role="group" aria-label="Versions">
      {versions.map((one) => (
        <button key={one.version} type="button" className={styles["thumb"]} aria-current={one.version === shown.version} onClick={() => onShow(one.version)}>
          <img src={artifactAddress(jobId, one.key, one.version)} alt="" loading="lazy" />
          {one.step != null ? `step ${one.step}` : one.version}
        </button>
      ))}
    </div>
  );
}

function None() {
  return (
    <Empty icon={Package} title="No artifacts" command={'foundations.save_artifact("model.pt", "model")'}>
      <p>Files that a job saves are kept here under a name, every version of them: pictures, tables, models. In the program:</p>
    </Empty>
  );
}
