import { useQueryClient } from "@tanstack/react-query";
import { CircleStop, ListPlus, Play } from "lucide-react";
import { useState } from "react";

import { refresh } from "@/api/actions";
import { extendSearch, type More, resumeSearch, stopSearch } from "@/api/searches";
import type { SearchDetails } from "@/api/types";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Switch } from "@/components/Field";
import { complain, tell } from "@/components/Toasts";

import styles from "./Searches.module.css";

/** Stop, resume, extend: what is possible as it stands. */
export function SearchButtons({ search }: { search: SearchDetails }) {
  const client = useQueryClient();
  const [open, setOpen] = useState<"stop" | "extend" | null>(null);
  const done = () => refresh(client, "search-details", "trials", "searches", "queue");
  const resume = () =>
    resumeSearch(search.name).then(
      () => {
        tell("The search goes on", search.name);
        done();
      },
      (error: unknown) => complain("It was not resumed", error),
    );
  return (
    <>
      {search.state === "running" && (
        <Button kind="danger" onClick={() => setOpen("stop")}>
          <CircleStop aria-hidden />
          Stop
        </Button>
      )}
      {(search.state === "stopped" || search.state === "failed") && (
        <Button onClick={() => void resume()}>
          <Play aria-hidden />
          Resume
        </Button>
      )}
      <Button onClick={() => setOpen("extend")}>
        <ListPlus aria-hidden />
        Extend…
      </Button>
      {open === "stop" && <StopDialog search={search} onClose={() => setOpen(null)} onDone={done} />}
      {open === "extend" && <ExtendDialog search={search} onClose={() => setOpen(null)} onDone={done} />}
    </>
  );
}

interface DialogProps {
  search: SearchDetails;
  onClose: () => void;
  onDone: () => void;
}

function StopDialog({ search, onClose, onDone }: DialogProps) {
  const [running, setRunning] = useState(true);
  const act = async () => {
    await stopSearch(search.name, running);
    tell("The search stops", search.name);
    onDone();
  };
  return (
    <Dialog open onClose={onClose} title={`Stop ${search.name}?`} text="No further trial starts. What is known so far stays, and the search can be resumed." action="Stop the search" dangerous onAction={act}>
      <Switch label={`Stop its running trials, too (${search.counts.running})`} checked={running} onChange={setRunning} />
    </Dialog>
  );
}

function ExtendDialog({ search, onClose, onDone }: DialogProps) {
  const [trials, setTrials] = useState("");
  const [time, setTime] = useState("");
  const [gpuHours, setGpuHours] = useState("");
  const [concurrency, setConcurrency] = useState("");
  const act = async () => {
    const more: More = {
      ...(trials.trim() && { trials: numberOf(trials, "Trials") }),
      ...(time.trim() && { time: time.trim() }),
      ...(gpuHours.trim() && { gpu_hours: numberOf(gpuHours, "GPU-hours") }),
      ...(concurrency.trim() && { concurrency: numberOf(concurrency, "Trials at once") }),
    };
    if (Object.keys(more).length === 0) throw new Error("Say what to add.");
    await extendSearch(search.name, more);
    tell("The search is extended", search.name);
    onDone();
  };
  const { budget } = search;
  return (
    <Dialog open onClose={onClose} title={`Extend ${search.name}`} text="What is given is added to the budget. A search that is over goes on." action="Extend the search" onAction={act}>
      <div className={styles["form"]}>
        <Field label="More trials" hint={budget.trials === null ? "no limit so far" : `${budget.trials} so far`}>
          {(id) => <Input id={id} inputMode="numeric" value={trials} onChange={(event) => setTrials(event.target.value)} />}
        </Field>
        <Field label="More time" hint="seconds, or as in 90m, 2h">
          {(id) => <Input id={id} value={time} onChange={(event) => setTime(event.target.value)} />}
        </Field>
        <Field label="More GPU-hours">{(id) => <Input id={id} inputMode="decimal" value={gpuHours} onChange={(event) => setGpuHours(event.target.value)} />}</Field>
        <Field label="Trials at once" hint={`now ${search.concurrency ?? "as many as fit"}`}>
          {(id) => <Input id={id} inputMode="numeric" value={concurrency} onChange={(event) => setConcurrency(event.target.value)} />}
        </Field>
      </div>
    </Dialog>
  );
}

function numberOf(text: string, what: string): number {
  const value = Number(text.trim().replace(",", "."));
  if (!Number.isFinite(value)) throw new Error(`${what}: “${text}” is no number.`);
  return value;
}
