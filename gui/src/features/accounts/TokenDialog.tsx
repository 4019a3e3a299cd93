import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";

import { createToken } from "@/api/accounts";
import { refresh } from "@/api/actions";
import type { Scope } from "@/api/types";
import { CopyButton } from "@/components/CopyButton";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Select } from "@/components/Field";

import styles from "./Accounts.module.css";

const SCOPES = [
  ["read", "look only"],
  ["submit", "submit and manage own jobs"],
  ["all", "everything that I may"],
] as const;
const LIVES = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "a year"],
  ["", "until I revoke it"],
] as const;

/** Makes a token, then shows its secret: once. */
export function TokenDialog({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [secret, setSecret] = useState<string | null>(null);
  // A dialog closes once its action has worked; this one shows the secret instead.
  const made = useRef(false);
  if (secret !== null) {
    return (
      <Dialog open onClose={onClose} title={`Token ${name}`} text="Copy it now: it is not shown again." action="Done" onAction={() => undefined}>
        <div className={styles["secret"]}>
          <code>{secret}</code>
          <CopyButton text={secret} label="Copy the token" />
        </div>
      </Dialog>
    );
  }
  const make = async (scope: Scope, days: number | null) => {
    const answer = await createToken(name, scope, days);
    made.current = true;
    setSecret(answer.secret);
    refresh(client, "tokens");
  };
  return <Wanted name={name} setName={setName} make={make} onClose={() => !made.current && onClose()} />;
}

interface WantedProps {
  name: string;
  setName: (name: string) => void;
  make: (scope: Scope, days: number | null) => Promise<void>;
  onClose: () => void;
}

function Wanted({ name, setName, make, onClose }: WantedProps) {
  const [scope, setScope] = useState<Scope>("submit");
  const [days, setDays] = useState<(typeof LIVES)[number][0]>("90");
  return (
    <Dialog
      open
      onClose={onClose}
      title="New token"
      text="A program that has it is you, within its scope."
      action="Make it"
      disabled={!name.trim()}
      onAction={() => make(scope, days === "" ? null : Number(days))}
    >
      <div className={styles["form"]}>
        <Field label="What it is for">{(id) => <Input id={id} required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />}</Field>
        <Select label="It may" shown value={scope} options={SCOPES} onChange={setScope} />
        <Select label="It lives for" shown value={days} options={LIVES} onChange={setDays} />
      </div>
    </Dialog>
  );
}
