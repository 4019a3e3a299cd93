import { useState } from "react";

import { useColumnValues } from "@/api/queries";
import { Dialog } from "@/components/Dialog";
import { Checkbox, Field, Input, SearchInput } from "@/components/Field";
import { formatNumber, formatValue } from "@/lib/format";
import { literal, quoteText, rangeClause } from "@/lib/query";

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
  const kinds = { number: NumberFilter, word: WordFilter, text: TextFilter, time: TimeFilter } as const;
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

function WordFilter({ project, column, onClause }: KindProps) {
  const { data } = useColumnValues(project, column.id);
  const [find, setFind] = useState("");
  const [chosen, setChosen] = useState<readonly unknown[]>([]);
  const change = (value: unknown, on: boolean) => {
    const now = on ? [...chosen, value] : chosen.filter((other) => other !== value);
    setChosen(now);
    const one = now.length === 1 ? `${column.id} = ${literal(now[0])}` : `${column.id} in (${now.map(literal).join(", ")})`;
    onClause(now.length === 0 ? "" : one);
  };
  const fitting = (data?.values ?? []).filter(({ value }) => formatValue(value).toLowerCase().includes(find.toLowerCase()));
  return (
    <>
      {(data?.values.length ?? 0) > 8 && <SearchInput label="Find a value" value={find} onChange={(event) => setFind(event.target.value)} />}
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
