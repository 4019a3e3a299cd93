import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { refresh } from "@/api/actions";
import { removeLimits, setLimits } from "@/api/limits";
import type { Limited, Limits } from "@/api/types";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Select } from "@/components/Field";
import { complain, tell } from "@/components/Toasts";

import styles from "./QueuePage.module.css";

const GB = 1024 ** 3;
const KINDS = [
  ["user", "user"],
  ["project", "project"],
] as const;
const FIELDS: readonly (readonly [keyof Limits, string, number])[] = [
  ["jobs", "Running jobs", 1],
  ["cpus", "CPUs", 1],
  ["gpus", "GPUs", 1],
  ["queued", "Waiting jobs", 1],
  ["stored", "Stored, GB", GB],
  ["priority", "Highest priority", 1],
  ["share", "Share", 1],
];

/** The most that a user or a project may have. What stays empty is not limited. */
export function LimitsDialog({ of, onClose }: { of: Limited | null; onClose: () => void }) {
  const client = useQueryClient();
  const [kind, setKind] = useState<(typeof KINDS)[number][0]>(of?.kind === "project" ? "project" : "user");
  const [name, setName] = useState(of?.name ?? "*");
  const [texts, setTexts] = useState(() => textsOf(of));
  const fields = FIELDS.filter(([field]) => kind === "user" || field !== "share");
  const done = (text: string) => {
    tell(text, name);
    refresh(client, "limits", "queue");
  };
  const act = async () => {
    const changed = fields.filter(([field]) => texts[field] !== textsOf(of)[field]);
    const limits = Object.fromEntries(changed.map(([field, title, unit]) => [field, limitOf(texts[field], title, unit)]));
    await setLimits(kind, name.trim(), limits);
    done("The limits are set");
  };
  const takeBack = (one: Limited) =>
    removeLimits(one).then(
      () => {
        done("The limits are taken back");
        onClose();
      },
      (error: unknown) => complain("The limits stay", error),
    );
  return (
    <Dialog
      open
      onClose={onClose}
      title={of === null ? "Set limits" : `Limits of ${of.kind} ${of.name}`}
      text="A job counts against its user's limits and its project's. What is over them waits; what already runs goes on."
      action="Set"
      disabled={name.trim() === ""}
      onAction={act}
    >
      <div className={styles["form"]}>
        {of === null && (
          <>
            <Select label="Of a" shown value={kind} options={KINDS} onChange={setKind} />
            <Field label="Name" hint="* is everybody who has no such limit of their own.">
              {(id) => <Input id={id} value={name} onChange={(event) => setName(event.target.value)} />}
            </Field>
          </>
        )}
        {fields.map(([field, title]) => (
          <Field key={field} label={title}>
            {(id) => <Input id={id} inputMode="decimal" placeholder={field === "share" ? "1" : "no limit"} value={texts[field]} onChange={(event) => setTexts({ ...texts, [field]: event.target.value })} />}
          </Field>
        ))}
      </div>
      {of?.origin === "set" && (
        <Button small kind="danger" onClick={() => void takeBack(of)}>
          Take all of them back
        </Button>
      )}
    </Dialog>
  );
}

function textsOf(of: Limited | null): Record<keyof Limits, string> {
  const entries = FIELDS.map(([field, , unit]) => {
    const value = of?.limits[field] ?? null;
    return [field, value === null ? "" : String(Number((value / unit).toPrecision(6)))];
  });
  return Object.fromEntries(entries) as Record<keyof Limits, string>;
}

function limitOf(text: string, title: string, unit: number): number | null {
  if (text.trim() === "") return null;
  const value = Number(text.trim().replace(",", "."));
  if (!Number.isFinite(value)) throw new Error(`${title}: “${text}” is no number.`);
  return unit === 1 ? value : Math.round(value * unit);
}
