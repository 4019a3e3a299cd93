import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { artifactAddress } from "@/api/actions";
import { get, part } from "@/api/client";
import type { Artifact, JobFile } from "@/api/types";
import { Select } from "@/components/Field";
import { FileViewer } from "@/components/FileViewer";
import { Skeleton, Trouble } from "@/components/Panel";
import split from "@/components/SplitView.module.css";
import { plural } from "@/lib/format";

/** The files of a folder that was saved as one artifact. */
export function FolderViewer({ jobId, artifact }: { jobId: string; artifact: Artifact }) {
  const [path, setPath] = useState("");
  const { data, error } = useQuery({
    queryKey: ["artifact-files", jobId, artifact.key, artifact.version],
    queryFn: async ({ signal }) =>
      (await get<{ files: JobFile[] }>(`/jobs/${part(jobId)}/artifacts/files`, { key: artifact.key, version: artifact.version }, signal)).files,
  });
  if (error !== null) return <Trouble error={error} />;
  if (data === undefined) return <Skeleton height={240} />;
  const files = data.filter((file) => file.kind === "f" || file.kind === "x");
  const file = files.find((one) => one.path === path) ?? files[0];
  if (file === undefined) return <p style={{ padding: 24, color: "var(--ink-3)" }}>The folder is empty.</p>;
  return (
    <>
      <div className={split["head"]}>
        <Select label="File" shown value={file.path} options={files.slice(0, 2000).map((one) => [one.path, one.path] as const)} onChange={setPath} />
        <span className={split["dim"]}>{plural(files.length, "file")}</span>
      </div>
      <FileViewer
        source={{ name: file.path, type: file.type, size: file.size, version: file.digest ?? "", href: artifactAddress(jobId, artifact.key, artifact.version, { path: file.path }) }}
      />
    </>
  );
}
