import { useQuery } from "@tanstack/react-query";
import { Equal } from "lucide-react";
import { type ReactNode, useState } from "react";

import { fileAddress } from "@/api/actions";
import { pathOf, request } from "@/api/client";
import { useFiles } from "@/api/queries";
import type { JobFile } from "@/api/types";
import { treeOf } from "@/lib/tree";

import { CodeView } from "./CodeView";
import { Segments } from "./Field";
import { FileTree } from "./FileTree";
import { Empty, Skeleton, Trouble } from "./Panel";
import split from "./SplitView.module.css";

interface Changed {
  path: string;
  before: JobFile | undefined;
  after: JobFile | undefined;
}

/** Files of a job's code that differ from another's, and how. */
export function CodeDiff({ job, against, show, onShow, tools }: { job: string; against: string; show: string | undefined; onShow: (path: string) => void; tools: ReactNode }) {
  const mine = useFiles(job, "code");
  const theirs = useFiles(against, "code");
  const [look, setLook] = useState<"one" | "two">("one");
  const error = mine.error ?? theirs.error;
  if (error !== null) return <Trouble error={error} />;
  if (mine.data === undefined || theirs.data === undefined) return <Skeleton height={320} />;
  const changed = changedFiles(theirs.data, mine.data);
  const file = changed.find((one) => one.path === show) ?? changed.find((one) => one.before && one.after) ?? changed[0];
  return (
    <div className={split["split"]}>
      <div className={split["side"]}>
        <div className={split["top"]}>{tools}</div>
        <nav className={split["list"]} aria-label="Changed files">
          <FileTree nodes={treeOf(changed, (one) => one.path)} current={file?.path} onOpen={(one) => onShow(one.path)} aside={kindOf} />
        </nav>
      </div>
      <div className={split["main"]}>
        {file === undefined ? (
          <Empty icon={Equal} title="The same code">
            <p>Both jobs were submitted with the same files.</p>
          </Empty>
        ) : (
          <>
            <div className={split["head"]}>
              <h2>{file.path}</h2>
              <span className={split["dim"]}>{kindOf(file)}</span>
              <Segments label="Look" value={look} onChange={setLook} options={[["one", "Inline"], ["two", "Side by side"]]} />
            </div>
            <FileDiff key={file.path} job={job} against={against} file={file} sideBySide={look === "two"} />
          </>
        )}
      </div>
    </div>
  );
}

function changedFiles(before: readonly JobFile[], after: readonly JobFile[]): Changed[] {
  const old = new Map(before.map((file) => [file.path, file]));
  const now = new Map(after.map((file) => [file.path, file]));
  const paths = [...new Set([...old.keys(), ...now.keys()])].sort();
  return paths
    .map((path) => ({ path, before: old.get(path), after: now.get(path) }))
    .filter(({ before: b, after: a }) => (b?.kind !== "d" && a?.kind !== "d") && (b === undefined || a === undefined || b.digest !== a.digest || b.kind !== a.kind || b.size !== a.size));
}

function kindOf(file: Changed): string {
  if (file.before === undefined) return "added";
  return file.after === undefined ? "removed" : "changed";
}

function FileDiff({ job, against, file, sideBySide }: { job: string; against: string; file: Changed; sideBySide: boolean }) {
  const { data, error } = useQuery({
    queryKey: ["code-diff", job, against, file.path],
    queryFn: async () => {
      const [before, after] = await Promise.all([file.before ? textOf(against, file.path) : "", file.after ? textOf(job, file.path) : ""]);
      return { before, after };
    },
  });
  if (error !== null) return <Trouble error={error} />;
  if (data === undefined) return <Skeleton height={240} />;
  if (data.before.includes("\0") || data.after.includes("\0")) return <p style={{ padding: 24, color: "var(--ink-3)" }}>It is no text: only that it differs can be said.</p>;
  return <CodeView name={file.path} text={data.after} original={data.before} sideBySide={sideBySide} />;
}

async function textOf(jobId: string, path: string): Promise<string> {
  const href = fileAddress(jobId, "code", path);
  const answer = await request(pathOf(href), {}, { headers: { Range: "bytes=0-1999999" } });
  return answer.text();
}
