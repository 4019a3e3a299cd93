import { type FormEvent, useState } from "react";

import { logIn } from "@/api/accounts";
import { Button } from "@/components/Button";
import { Field, Input } from "@/components/Field";
import { useTitle } from "@/lib/title";

import styles from "./Accounts.module.css";

/** Stands before every page of a server that asks who is there, until somebody has said. */
export function LoginPage() {
  useTitle("Log in");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);

  const act = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setTrouble(null);
    try {
      await logIn(user, password);
      // Nothing of whoever was here before stays in memory.
      window.location.reload();
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
      setPassword("");
      setBusy(false);
    }
  };

  return (
    <main id="main" className={styles["login"]}>
      <form className={styles["card"]} onSubmit={(event) => void act(event)}>
        <div className={styles["brand"]}>
          <img src="/icon.svg" alt="" />
          <h1>Log in to Atlas</h1>
        </div>
        <Field label="User name">
          {(id) => <Input id={id} name="username" autoComplete="username" autoCapitalize="none" required value={user} onChange={(event) => setUser(event.target.value)} />}
        </Field>
        <Field label="Password">
          {(id) => <Input id={id} name="password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
        {trouble !== null && (
          <p role="alert" className={styles["trouble"]}>
            {trouble}
          </p>
        )}
        <Button type="submit" kind="primary" disabled={busy}>
          Log in
        </Button>
      </form>
    </main>
  );
}
