import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, FolderOpen, GitCompareArrows, X } from "lucide-react";
import { useMemo } from "react";

import { fileAddress } from "@/api/actions";
import { useFiles } from "@/api/queries";
import type { JobDetails } from "@/api/types";
import { buttonClass, IconButton } from "@/components/Button";
import { CodeDiff } from "@/components/CodeDiff";
import { Segments } from "@/components/Field";
import { FileTree } from "@/components/FileTree";
import { FileViewer } from "@/components/FileViewer";
import { Empty, Skeleton, Trouble } from "@/components/Panel";
import split from "@/components/SplitView.module.css";
import { formatBytes } from "@/lib/format";
import { treeOf } from "@/lib/tree";

import { type JobSearch, parseJobSearch } from "../search";
import { AgainstPicker } from "./AgainstPicker";

const FIRST = ["main.py", "README.md", "job.config.yaml"];

/** The code as it was submitted and the files the job left, or how the code differs from another job's. */
export function CodeTab({ job }: { job: JobDetails }) {
  const search = useSearch({ from: "/jobs/$jobId" });
  const navigate = useNavigate({ from: "/jobs/$jobId" });
  const change = (now: JobSearch) => void navigate({ search: (old: JobSearch) => parseJobSearch({ ...old, ...now }), replace: true, resetScroll: false });
  const { of = "code", show, against } = search;
  if (against !== undefined) {
    return (
      <CodeDiff
        job={job.job_id}
        against={against}
        show={show}
        onShow={(path) => change({ show: path })}
        tools={
          <>
            <AgainstPicker job={job} value={against} onPick={(id) => change({ against: id, show: undefined })} />
            <IconButton label="Without comparison" small onClick={() => change({ against: undefined, show: undefined })}>
              <X aria-hidden />
            </IconButton>
          </>
        }
      />
    );
  }
  return <Files job={job} of={of} show={show} change={change} />;
}

function Files({ job, of, show, change }: { job: JobDetails; of: "code" | "results"; show: string | undefined; change: (search: JobSearch) => void }) {
  const { data, error, refetch } = useFiles(job.job_id, of);
  const files = useMemo(() => (data ?? []).filter((file) => file.kind === "f" || file.kind === "x"), [data]);
  const tree = useMemo(() => treeOf(files, (file) => file.path), [files]);
  const file = files.find((one) => one.path === show) ?? FIRST.map((name) => files.find((one) => one.path === name)).find(Boolean) ?? files[0];
  return (
    <div className={split["split"]}>
      <div className={split["side"]}>
        <div className={split["top"]}>
          <Segments label="Files" value={of} onChange={(now) => change({ of: now, show: undefined })} options={[["code", "Code"], ["results", "Results"]]} />
        </div>
        <nav className={split["list"]} aria-label={of === "code" ? "Code" : "Results"}>
          <FileTree nodes={tree} current={file?.path} onOpen={(one) => change({ show: one.path })} aside={(one) => formatBytes(one.size)} />
        </nav>
      </div>
      <div className={split["main"]}>
        {data === undefined && (error === null ? <Skeleton height={320} /> : <Trouble error={error} retry={() => void refetch()} />)}
        {data !== undefined && file === undefined && (
          <Empty icon={FolderOpen} title={of === "code" ? "No files" : "It left no files"}>
            <p>{of === "code" ? "The job was submitted without a folder." : "New and changed files of its folder are kept here when a job ends."}</p>
          </Empty>
        )}
        {file !== undefined && (
          <>
            <div className={split["head"]}>
              <h2>{file.path}</h2>
              <span className={`${split["dim"]} num`}>{formatBytes(file.size)}</span>
              {of === "code" && (
                <AgainstPicker job={job} value={undefined} onPick={(id) => change({ against: id, show: undefined })}>
                  <GitCompareArrows aria-hidden />
                  Compare with…
                </AgainstPicker>
              )}
              <a className={buttonClass({ small: true })} href={fileAddress(job.job_id, of, file.path, true)} download>
                <Download aria-hidden />
                Download
              </a>
            </div>
            <FileViewer source={{ name: file.path, type: file.type, size: file.size, version: file.digest ?? job.job_id, href: fileAddress(job.job_id, of, file.path) }} />
          </>
        )}
      </div>
    </div>
  );
}
