import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { useState } from "react";

import { refresh, rerunJob } from "@/api/actions";
import type { JobDetails } from "@/api/types";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input } from "@/components/Field";
import { tell } from "@/components/Toasts";
import { shortId } from "@/lib/format";

import styles from "./CloneDialog.module.css";

interface Param {
  name: string;
  text: string;
}

/** The same code with other parameters or resources, as a new job. */
export function CloneDialog({ job, onClose }: { job: JobDetails; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const given = (job.spec["params"] ?? {}) as Record<string, unknown>;
  const [params, setParams] = useState<Param[]>(() => Object.entries(given).map(([name, value]) => ({ name, text: JSON.stringify(value) })));
  const [name, setName] = useState(job.name ?? "");
  const [cpus, setCpus] = useState(String(job.resources.cpus));
  const [gpus, setGpus] = useState(String(job.resources.gpus));
  const [memory, setMemory] = useState(job.resources.memory === null ? "" : String(job.resources.memory / 1e9));
  const [priority, setPriority] = useState(String(job.priority));
  const set = (index: number, part: Partial<Param>) => setParams(params.map((param, at) => (at === index ? { ...param, ...part } : param)));

  const act = async () => {
    const again = await rerunJob(job.job_id, {
      params: Object.fromEntries(params.filter((param) => param.name.trim() !== "").map((param) => [param.name.trim(), valueOf(param.text)])),
      name: name.trim() || null,
      priority: wholeNumber(priority, "The priority"),
      resources: {
        cpus: positive(cpus, "CPUs"),
        gpus: positive(gpus, "GPUs"),
        memory: memory.trim() === "" ? null : Math.round(positive(memory, "Memory") * 1e9),
      },
    });
    tell("Queued", `as ${again.name ?? shortId(again.job_id)}`);
    refresh(client, "rows", "queue", "server");
    void navigate({ to: "/jobs/$jobId", params: { jobId: again.job_id } });
  };

  return (
    <Dialog open wide onClose={onClose} title={`Clone ${job.name ?? shortId(job.job_id)}`} text="A new job of the same code. The project folder on your machine is not looked at." action="Queue the clone" onAction={act}>
      <p className={styles["title"]}>Parameters</p>
      <div className={styles["params"]}>
        {params.map((param, index) => (
          <Row key={index} param={param} onChange={(part) => set(index, part)} onRemove={() => setParams(params.filter((_, at) => at !== index))} />
        ))}
      </div>
      <Button small kind="quiet" onClick={() => setParams([...params, { name: "", text: "" }])}>
        <Plus aria-hidden />
        Add a parameter
      </Button>
      <p className={styles["title"]}>Job</p>
      <div className={styles["grid"]}>
        <Field label="Name">{(id) => <Input id={id} value={name} onChange={(event) => setName(event.target.value)} />}</Field>
        <Field label="CPUs">{(id) => <Input id={id} inputMode="decimal" value={cpus} onChange={(event) => setCpus(event.target.value)} />}</Field>
        <Field label="GPUs">{(id) => <Input id={id} inputMode="decimal" value={gpus} onChange={(event) => setGpus(event.target.value)} />}</Field>
        <Field label="Memory, GB">{(id) => <Input id={id} inputMode="decimal" value={memory} placeholder="no limit" onChange={(event) => setMemory(event.target.value)} />}</Field>
        <Field label="Priority">{(id) => <Input id={id} inputMode="numeric" value={priority} onChange={(event) => setPriority(event.target.value)} />}</Field>
      </div>
    </Dialog>
  );
}

function Row({ param, onChange, onRemove }: { param: Param; onChange: (part: Partial<Param>) => void; onRemove: () => void }) {
  return (
    <>
      <Input aria-label="Name of the parameter" className={styles["mono"]} value={param.name} onChange={(event) => onChange({ name: event.target.value })} />
      <Input aria-label={`Value of ${param.name || "the parameter"}`} className={styles["mono"]} value={param.text} onChange={(event) => onChange({ text: event.target.value })} />
      <IconButton label={`Remove ${param.name || "the parameter"}`} small onClick={onRemove}>
        <X aria-hidden />
      </IconButton>
    </>
  );
}

/** JSON where it is JSON, else the text itself: 0.1, true, [1, 2], adam. */
export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function positive(text: string, what: string): number {
  const value = Number(text.trim().replace(",", "."));
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new Error(`${what}: “${text}” is no number.`);
  return value;
}

function wholeNumber(text: string, what: string): number {
  const value = Number(text.trim());
  if (!Number.isInteger(value)) throw new Error(`${what}: “${text}” is no whole number.`);
  return value;
}
