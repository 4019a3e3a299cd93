import { useQuery } from "@tanstack/react-query";
import { FileBox } from "lucide-react";

import { request } from "@/api/client";
import { parseCsv } from "@/lib/csv";
import { fileKind } from "@/lib/files";
import { formatBytes } from "@/lib/format";

import { buttonClass } from "./Button";
import { CodeView } from "./CodeView";
import styles from "./FileViewer.module.css";
import { Markdown } from "./Markdown";
import { Empty, Skeleton, Trouble } from "./Panel";

/** A part of the API's paths below which a file's bytes are, with the address that a browser can show. */
export interface Source {
  name: string;
  type: string;
  size: number;
  /** Full address of the bytes. */
  href: string;
  /** What distinguishes this content from another of the same name. */
  version: string;
}

const MOST_TEXT = 2_000_000;
const MOST_ROWS = 1000;

/** A file as its kind wants to be seen. What it holds cannot touch the page: scripts run in a sandbox or not at all. */
export function FileViewer({ source, raw = false }: { source: Source; raw?: boolean }) {
  const kind = raw ? "text" : fileKind(source.name, source.type);
  return (
    <div className={styles["viewer"]} data-kind={kind}>
      {kind === "image" && (
        <div className={styles["center"]}>
          <img src={source.href} alt={source.name} />
        </div>
      )}
      {kind === "audio" && (
        <div className={styles["center"]}>
          {/* eslint-disable-next-line jsx-a11y/media-has-caption -- jobs make sounds without captions */}
          <audio controls src={source.href} aria-label={source.name} />
        </div>
      )}
      {kind === "video" && (
        <div className={styles["center"]}>
          {/* eslint-disable-next-line jsx-a11y/media-has-caption -- jobs make films without captions */}
          <video controls src={source.href} aria-label={source.name} />
        </div>
      )}
      {kind === "html" && <iframe className={styles["frame"]} title={source.name} src={source.href} sandbox="allow-scripts" />}
      {kind === "pdf" && <iframe className={styles["frame"]} title={source.name} src={source.href} />}
      {(kind === "text" || kind === "json" || kind === "csv" || kind === "markdown") && <TextFile source={source} kind={kind} />}
      {kind === "other" && (
        <Empty icon={FileBox} title={source.name}>
          <p>{formatBytes(source.size)}. A browser has nothing to show of it.</p>
          <a className={buttonClass({})} href={`${source.href}&download=1`} download>
            Download
          </a>
        </Empty>
      )}
    </div>
  );
}

function TextFile({ source, kind }: { source: Source; kind: "text" | "json" | "csv" | "markdown" }) {
  const cut = source.size > MOST_TEXT;
  const { data, error } = useQuery({
    queryKey: ["text", source.href, source.version],
    queryFn: async ({ signal }) => {
      const path = source.href.slice(source.href.indexOf("/api/v1") + "/api/v1".length);
      const answer = await request(path, {}, { signal, ...(cut ? { headers: { Range: `bytes=0-${MOST_TEXT - 1}` } } : {}) });
      return (await answer.text()).slice(0, MOST_TEXT);
    },
    staleTime: Infinity,
  });
  if (error !== null) return <Trouble error={error} />;
  if (data === undefined) return <Skeleton height={240} />;
  return (
    <>
      {kind === "csv" ? <CsvTable text={data} tabs={source.name.endsWith(".tsv")} name={source.name} /> : kind === "markdown" ? <div className={styles["text"]}><Markdown text={data} /></div> : <CodeView name={kind === "json" ? "a.json" : source.name} text={kind === "json" && !cut ? pretty(data) : data} />}
      {cut && <p className={styles["note"]}>The first {formatBytes(MOST_TEXT)} of {formatBytes(source.size)}.</p>}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function CsvTable({ text, tabs, name }: { text: string; tabs: boolean; name: string }) {
  const rows = parseCsv(text, tabs ? "\t" : ",", MOST_ROWS + 1);
  const [head = [], ...body] = rows;
  const numeric = head.map((_, column) => body.slice(0, 50).every((row) => row[column] === undefined || row[column] === "" || Number.isFinite(Number(row[column]))));
  return (
    <>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls is reached by keys */}
      <div className={styles["table"]} tabIndex={0} role="region" aria-label={name}>
        <table>
          <thead>
            <tr>
              {head.map((cell, column) => (
                <th key={column} scope="col" className={numeric[column] ? styles["number"] : undefined}>
                  {cell}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {body.map((row, index) => (
              <tr key={index}>
                {row.map((cell, column) => (
                  <td key={column} className={numeric[column] ? styles["number"] : undefined} title={cell.length > 40 ? cell : undefined}>
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > MOST_ROWS && <p className={styles["note"]}>The first {MOST_ROWS} rows.</p>}
    </>
  );
}
