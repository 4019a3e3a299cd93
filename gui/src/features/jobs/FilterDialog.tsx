import { useState } from "react";

import { useColumns, useColumnValues } from "@/api/queries";
import { Dialog } from "@/components/Dialog";
import { Checkbox, Field, Input, SearchInput } from "@/components/Field";
import { formatNumber, formatValue } from "@/lib/format";
import { anyTag, isDuration, isSize, literal, quoteText, rangeClause } from "@/lib/query";

import styles from "./FilterDialog.module.css";
import type { Column } from "./columns";

interface Props {
  project: string | undefined;
  column: Column;
  onClose: () => void;
  /** Takes a condition of the query language. */
  onFilter: (clause: string) => void;
}

/** A condition on one column, put together by its kind and added to the query. */
export function FilterDialog({ project, column, onClose, onFilter }: Props) {
  const [clause, setClause] = useState("");
  const kinds = { number: NumberFilter, duration: DurationFilter, size: SizeFilter, word: WordFilter, text: TextFilter, time: TimeFilter, tag: TagFilter } as const;
  const Kind = kinds[column.filter ?? "text"];
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Filter by ${column.title}`}
      text={clause ? <code>{clause}</code> : "What you choose becomes a condition of the query."}
      action="Add to the query"
      disabled={clause === ""}
      onAction={() => onFilter(clause)}
    >
      <Kind project={project} column={column} onClause={setClause} />
    </Dialog>
  );
}

interface KindProps {
  project: string | undefined;
  column: Column;
  onClause: (clause: string) => void;
}

function NumberFilter({ project, column, onClause }: KindProps) {
  const { data } = useColumnValues(project, column.id);
  const [low, setLow] = useState("");
  const [high, setHigh] = useState("");
  const change = (from: string, to: string) => {
    setLow(from);
    setHigh(to);
    onClause(rangeClause(column.id, numberIn(from), numberIn(to)));
  };
  return (
    <>
      <div className={styles["pair"]}>
        <Field label="At least">
          {(id) => <Input id={id} inputMode="decimal" value={low} placeholder={data?.min == null ? "" : formatNumber(data.min)} onChange={(event) => change(event.target.value, high)} />}
        </Field>
        <Field label="At most">
          {(id) => <Input id={id} inputMode="decimal" value={high} placeholder={data?.max == null ? "" : formatNumber(data.max)} onChange={(event) => change(low, event.target.value)} />}
        </Field>
      </div>
      {data !== undefined && data.values.length > 0 && data.values.length <= 8 && (
        <p className={styles["hint"]}>Values: {data.values.map(({ value }) => formatValue(value)).join(", ")}</p>
      )}
    </>
  );
}

function numberIn(text: string): number | null {
  const value = Number(text.trim().replace(",", "."));
  return text.trim() === "" || !Number.isFinite(value) ? null : value;
}

function DurationFilter({ column, onClause }: KindProps) {
  return <QuantityFilter column={column} onClause={onClause} valid={isDuration} like={["30s", "2h"]} hint="s, m, h, d or w: 90s, 10m, 2h." />;
}

function SizeFilter({ column, onClause }: KindProps) {
  return <QuantityFilter column={column} onClause={onClause} valid={isSize} like={["512MB", "8GB"]} hint="MB, GB or TB: 512MB, 8GB." />;
}

/** Numbers with a unit, which go into the query as they are written. */
function QuantityFilter({ column, onClause, valid, like, hint }: Pick<KindProps, "column" | "onClause"> & { valid: (text: string) => boolean; like: readonly [string, string]; hint: string }) {
  const [texts, setTexts] = useState<readonly [string, string]>(["", ""]);
  const change = (low: string, high: string) => {
    setTexts([low, high]);
    const [from, to] = [low, high].map((text) => text.replaceAll(" ", ""));
    const right = [from, to].every((text) => !text || valid(text));
    onClause(right ? rangeClause(column.id, from || null, to || null) : "");
  };
  const wrong = texts.some((text) => text.trim() !== "" && !valid(text.replaceAll(" ", "")));
  return (
    <>
      <div className={styles["pair"]}>
        <Field label="At least">{(id) => <Input id={id} autoFocus value={texts[0]} placeholder={like[0]} onChange={(event) => change(event.target.value, texts[1])} />}</Field>
        <Field label="At most">{(id) => <Input id={id} value={texts[1]} placeholder={like[1]} onChange={(event) => change(texts[0], event.target.value)} />}</Field>
      </div>
      <p className={styles["hint"]} role={wrong ? "alert" : undefined}>
        {wrong ? `A number and its unit are wanted: ${hint}` : `Units: ${hint}`}
      </p>
    </>
  );
}

function TagFilter({ project, onClause }: KindProps) {
  const { data } = useColumns(project);
  const tags = (data?.tags ?? []).map(({ name, jobs }) => ({ value: name, jobs }));
  return <Choices values={tags} onChange={(chosen) => onClause(anyTag(chosen))} />;
}

function WordFilter({ project, column, onClause }: KindProps) {
  const { data } = useColumnValues(project, column.id);
  const change = (chosen: readonly unknown[]) => {
    const one = chosen.length === 1 ? `${column.id} = ${literal(chosen[0])}` : `${column.id} in (${chosen.map(literal).join(", ")})`;
    onClause(chosen.length === 0 ? "" : one);
  };
  return <Choices values={data?.values ?? []} onChange={change} />;
}

/** Values to tick, with the number of jobs that have each. */
function Choices<T>({ values, onChange }: { values: readonly { value: T; jobs: number }[]; onChange: (chosen: readonly T[]) => void }) {
  const [find, setFind] = useState("");
  const [chosen, setChosen] = useState<readonly T[]>([]);
  const change = (value: T, on: boolean) => {
    const now = on ? [...chosen, value] : chosen.filter((other) => other !== value);
    setChosen(now);
    onChange(now);
  };
  const fitting = values.filter(({ value }) => formatValue(value).toLowerCase().includes(find.toLowerCase()));
  return (
    <>
      {values.length > 8 && <SearchInput label="Find a value" value={find} onChange={(event) => setFind(event.target.value)} />}
      <div className={styles["values"]}>
        {fitting.map(({ value, jobs }) => (
          <label key={literal(value)} className={styles["value"]}>
            <Checkbox label={formatValue(value)} checked={chosen.includes(value)} onChange={(event) => change(value, event.target.checked)} />
            <span>{formatValue(value) || "(empty)"}</span>
            <span className="num">{jobs}</span>
          </label>
        ))}
      </div>
    </>
  );
}

function TextFilter({ column, onClause }: KindProps) {
  return (
    <Field label="Contains">
      {(id) => <Input id={id} autoFocus onChange={(event) => onClause(event.target.value.trim() ? `${column.id}:${quoteText(event.target.value.trim())}` : "")} />}
    </Field>
  );
}

const SPANS = [
  ["-1h", "the last hour"],
  ["-24h", "the last 24 hours"],
  ["-7d", "the last 7 days"],
  ["-30d", "the last 30 days"],
] as const;

function TimeFilter({ column, onClause }: KindProps) {
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const change = (begin: string, end: string) => {
    setFrom(begin);
    setTo(end);
    onClause([begin && `${column.id} >= ${begin}`, end && `${column.id} <= ${end}`].filter(Boolean).join(" and "));
  };
  return (
    <>
      <div className={styles["pair"]}>
        <Field label="From">{(id) => <Input id={id} type="date" value={from.startsWith("-") ? "" : from} onChange={(event) => change(event.target.value, to)} />}</Field>
        <Field label="To">{(id) => <Input id={id} type="date" value={to} onChange={(event) => change(from, event.target.value)} />}</Field>
      </div>
      <div className={styles["spans"]}>
        {SPANS.map(([span, label]) => (
          <button key={span} type="button" aria-pressed={from === span} onClick={() => change(span, "")}>
            {label}
          </button>
        ))}
      </div>
    </>
  );
}
