import { useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { type FormEvent, useState } from "react";

import { changePassword, logOut, revokeToken, useTokens } from "@/api/accounts";
import { refresh } from "@/api/actions";
import type { Token } from "@/api/types";
import { Button } from "@/components/Button";
import { Field, Input } from "@/components/Field";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { complain, tell } from "@/components/Toasts";
import { formatAgo, formatDate } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import styles from "./Accounts.module.css";
import { TokenDialog } from "./TokenDialog";

const KINDS = { personal: "Token", login: "Command line", session: "Browser" } as const;

/** One's own password, tokens, logins and sessions. */
export function AccountPage() {
  useTitle("Account");
  const [making, setMaking] = useState(false);
  const { data, error, refetch } = useTokens();
  return (
    <main id="main" className={page["page"]}>
      <div className={page["top"]}>
        <h1>Password and tokens</h1>
        <Button onClick={() => void leaveEverywhere()}>Log out everywhere</Button>
        <Button kind="primary" onClick={() => setMaking(true)}>
          New token
        </Button>
      </div>
      <Panel title="What shows that somebody is you" count={data?.length} flush>
        {data === undefined ? (
          error === null ? <Skeleton height={160} /> : <Trouble error={error} retry={() => void refetch()} />
        ) : data.length === 0 ? (
          <Empty icon={KeyRound} title="No tokens yet" command="foundations token create NAME" />
        ) : (
          <TokenTable tokens={data} />
        )}
      </Panel>
      <Panel title="New password">
        <PasswordForm />
      </Panel>
      {making && <TokenDialog onClose={() => setMaking(false)} />}
    </main>
  );
}

async function leaveEverywhere() {
  try {
    await logOut(true);
    window.location.reload();
  } catch (error) {
    complain("You are still logged in", error);
  }
}

function TokenTable({ tokens }: { tokens: readonly Token[] }) {
  const client = useQueryClient();
  const now = Date.now() / 1000;
  const end = async (token: Token) => {
    try {
      await revokeToken(token.id);
      if (token.current) window.location.reload();
      tell(`${shownName(token)} has ended`);
      refresh(client, "tokens");
    } catch (error) {
      complain("It has not ended", error);
    }
  };
  return (
    <Table label="Tokens" heads={["Name", "Kind", "Scope", "Last used", "Until", { title: "Actions", silent: true }]}>
      {tokens.map((token) => (
        <tr key={token.id}>
          <td className={cells["words"]} title={token.name}>
            {shownName(token)}
          </td>
          <td className={cells["nowrap"]}>
            {KINDS[token.kind]}
            {token.current && ", this one"}
          </td>
          <td>{token.scope}</td>
          <td className={cells["nowrap"]}>
            {token.used_at === null ? "never" : formatAgo(token.used_at, now)}
            {token.address !== null && `, ${token.address}`}
          </td>
          <td className={cells["nowrap"]}>{token.expires_at === null ? "revoked" : token.expires_at < now ? "expired" : formatDate(token.expires_at)}</td>
          <td className={cells["end"]}>
            <Button small kind="danger" aria-label={`End ${shownName(token)}`} onClick={() => void end(token)}>
              End
            </Button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** A browser says of itself more than anybody wants to read. */
function shownName({ kind, name }: Token): string {
  if (kind !== "session") return name || "unknown";
  const browser = /(Firefox|Edg|Chrome|Safari)/.exec(name)?.[1] ?? "Browser";
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(name)?.[1];
  return (browser === "Edg" ? "Edge" : browser) + (system === undefined ? "" : ` on ${system}`);
}

function PasswordForm() {
  const client = useQueryClient();
  const [old, setOld] = useState("");
  const [now, setNow] = useState("");
  const [trouble, setTrouble] = useState<string | null>(null);
  const act = async (event: FormEvent) => {
    event.preventDefault();
    setTrouble(null);
    try {
      await changePassword(old, now);
      setOld("");
      setNow("");
      tell("You have a new password", "All other sessions and logins have ended.");
      refresh(client, "tokens");
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <form className={styles["form"]} onSubmit={(event) => void act(event)}>
      <Field label="Present password">
        {(id) => <Input id={id} type="password" autoComplete="current-password" required value={old} onChange={(event) => setOld(event.target.value)} />}
      </Field>
      <Field label="New password" hint="8 characters at least. All your other sessions and logins end; tokens stay.">
        {(id) => <Input id={id} type="password" autoComplete="new-password" required minLength={8} value={now} onChange={(event) => setNow(event.target.value)} />}
      </Field>
      {trouble !== null && (
        <p role="alert" className={styles["trouble"]}>
          {trouble}
        </p>
      )}
      <div>
        <Button type="submit">Change the password</Button>
      </div>
    </form>
  );
}
