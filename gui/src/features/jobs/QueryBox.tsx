import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";

import { get } from "@/api/client";
import { TIME_ZONE } from "@/api/queries";
import type { Completion, QueryCheck, QueryProblem } from "@/api/types";
import { SearchInput } from "@/components/Field";

import styles from "./QueryBox.module.css";

const PAUSE = 100;

/** The query language with completions and errors under one's hands. Text that is valid counts at once. */
export function QueryBox({ project, value, onChange }: { project: string | undefined; value: string; onChange: (query: string) => void }) {
  const [text, setText] = useState(value);
  const [cursor, setCursor] = useState<number | null>(null);
  const [at, setAt] = useState(-1);
  const sent = useRef(value);
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  const settled = useSettled(text, PAUSE);

  // What changes the query elsewhere (buttons, the address) is shown here.
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);

  const check = useQuery({
    queryKey: ["query-check", project ?? null, settled],
    queryFn: ({ signal }) => get<QueryCheck>("/query/check", { query: settled, project, tz: TIME_ZONE }, signal),
    enabled: settled.trim() !== "",
    staleTime: 60_000,
  });
  const verdict = settled.trim() === "" ? true : check.data?.valid;
  useEffect(() => {
    if (verdict !== true || settled !== text || settled.trim() === sent.current) return;
    sent.current = settled.trim();
    onChange(settled.trim());
  }, [verdict, settled, text, onChange]);

  const completion = useQuery({
    queryKey: ["query-complete", project ?? null, settled, cursor],
    queryFn: ({ signal }) => get<Completion>("/query/complete", { text: settled, cursor: cursor ?? settled.length, project }, signal),
    enabled: cursor !== null && settled === text,
    staleTime: 60_000,
  });
  const words = cursor === null || settled !== text ? [] : (completion.data?.words ?? []);

  const take = (index: number) => {
    const word = words[index];
    const found = completion.data;
    if (word === undefined || found === undefined) return;
    const place = found.start + word.text.length;
    setText(text.slice(0, found.start) + word.text + text.slice(found.end));
    setAt(-1);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(place, place);
      setCursor(place);
    });
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" && words.length > 0) setAt((at + 1) % words.length);
    else if (event.key === "ArrowUp" && words.length > 0) setAt(at <= 0 ? words.length - 1 : at - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(at);
    else if (event.key === "Escape" && cursor !== null) setCursor(null);
    else if (event.key === "Enter") setCursor(null);
    else return;
    event.preventDefault();
  };

  const problem = check.data?.valid === false && settled === text ? check.data.error : null;
  const open = words.length > 0;
  return (
    <div className={styles["box"]}>
      <SearchInput
        ref={input}
        label="Search, or a query: metrics.loss < 0.3 and tag:baseline"
        className={styles["mono"]}
        value={text}
        role="combobox"
        aria-expanded={open}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={at >= 0 && open ? `${list}-${at}` : undefined}
        aria-invalid={problem !== null}
        aria-describedby={problem === null ? undefined : `${list}-problem`}
        onChange={(event) => {
          setText(event.target.value);
          setCursor(event.target.selectionStart);
          setAt(-1);
        }}
        onKeyDown={pressed}
        onBlur={() => setCursor(null)}
      />
      {open && (
        <div className={styles["list"]} role="listbox" id={list} aria-label="Completions" tabIndex={-1}>
          {words.map((word, index) => (
            // eslint-disable-next-line jsx-a11y/click-events-have-key-events -- the input above has the keys
            <div
              key={word.text}
              id={`${list}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              className={styles["option"]}
              onPointerDown={(event) => event.preventDefault()}
              onPointerMove={() => setAt(index)}
              onClick={() => take(index)}
            >
              <code>{word.text}</code>
              <span className={styles["note"]}>{word.note}</span>
            </div>
          ))}
        </div>
      )}
      {problem !== null && !open && <Problem id={`${list}-problem`} text={settled} problem={problem} onTake={setText} />}
    </div>
  );
}

function Problem({ id, text, problem, onTake }: { id: string; text: string; problem: QueryProblem; onTake: (text: string) => void }) {
  const { position, length } = problem;
  const end = position + Math.max(1, length);
  return (
    <p className={styles["trouble"]} id={id} role="status">
      {problem.message} {problem.hint}{" "}
      <code>
        {text.slice(Math.max(0, position - 24), position)}
        <mark>{text.slice(position, end) || " "}</mark>
        {text.slice(end, end + 24)}
      </code>{" "}
      {problem.suggestions.slice(0, 3).map((word) => (
        <button key={word} type="button" onClick={() => onTake(text.slice(0, position) + word + text.slice(position + length))}>
          {word}
        </button>
      ))}
    </p>
  );
}

function useSettled(value: string, pause: number): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), pause);
    return () => window.clearTimeout(timer);
  }, [value, pause]);
  return settled;
}
