import { useQueryClient } from "@tanstack/react-query";
import { Users } from "lucide-react";
import { useState } from "react";

import { addUser, changeUser, removeUser, useUsers } from "@/api/accounts";
import { refresh } from "@/api/actions";
import type { Role, User } from "@/api/types";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Select } from "@/components/Field";
import { Empty, Panel, Skeleton, Trouble } from "@/components/Panel";
import { Table } from "@/components/Table";
import cells from "@/components/Table.module.css";
import { complain, tell } from "@/components/Toasts";
import { formatDate } from "@/lib/format";
import { useTitle } from "@/lib/title";
import page from "@/styles/page.module.css";

import styles from "./Accounts.module.css";

const ROLES = [
  ["viewer", "viewer"],
  ["member", "member"],
  ["admin", "admin"],
] as const;

type Asked = { what: "add" } | { what: "password" | "remove"; user: User };

/** Who may use this server, and as what. For admins. */
export function UsersPage() {
  useTitle("Users");
  const [asked, setAsked] = useState<Asked | null>(null);
  const { data, error, refetch } = useUsers();
  return (
    <main id="main" className={page["page"]}>
      <div className={page["top"]}>
        <h1>Users</h1>
        <Button kind="primary" onClick={() => setAsked({ what: "add" })}>
          Add a user
        </Button>
      </div>
      <Panel flush>
        {data === undefined ? (
          error === null ? <Skeleton height={160} /> : <Trouble error={error} retry={() => void refetch()} />
        ) : data.length === 0 ? (
          <Empty icon={Users} title="No users yet" command="atlas-server user add NAME --role admin" />
        ) : (
          <UserTable users={data} ask={setAsked} />
        )}
      </Panel>
      {asked !== null && <Question asked={asked} onClose={() => setAsked(null)} />}
    </main>
  );
}

function UserTable({ users, ask }: { users: readonly User[]; ask: (asked: Asked) => void }) {
  const client = useQueryClient();
  const change = async (user: User, role: Role) => {
    try {
      await changeUser(user.name, { role });
      tell(`${user.name} is ${role} now`);
    } catch (error) {
      complain(`${user.name} stays what it was`, error);
    }
    refresh(client, "users");
  };
  return (
    <Table label="Users" heads={["Name", "Role", "Since", "Password", { title: "Actions", silent: true }]}>
      {users.map((user) => (
        <tr key={user.name}>
          <td className={cells["words"]}>{user.name}</td>
          <td>
            <Select label={`Role of ${user.name}`} value={user.role} options={ROLES} onChange={(role) => void change(user, role)} />
          </td>
          <td className={cells["nowrap"]}>{formatDate(user.created_at)}</td>
          <td>{user.has_password ? "yes" : "tokens alone"}</td>
          <td className={cells["end"]}>
            <Button small aria-label={`New password for ${user.name}`} onClick={() => ask({ what: "password", user })}>
              New password
            </Button>{" "}
            <Button small kind="danger" aria-label={`Remove ${user.name}`} onClick={() => ask({ what: "remove", user })}>
              Remove
            </Button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Question({ asked, onClose }: { asked: Asked; onClose: () => void }) {
  const client = useQueryClient();
  const done = (text: string) => {
    tell(text);
    refresh(client, "users");
  };
  if (asked.what === "add") return <AddDialog done={done} onClose={onClose} />;
  const { name } = asked.user;
  if (asked.what === "password") return <PasswordDialog name={name} done={done} onClose={onClose} />;
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Remove ${name}?`}
      text="All sessions and tokens end at once. Jobs and notes stay."
      action="Remove"
      dangerous
      onAction={async () => {
        await removeUser(name);
        done(`${name} has been removed`);
      }}
    />
  );
}

function AddDialog({ done, onClose }: { done: (text: string) => void; onClose: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("member");
  const [password, setPassword] = useState("");
  return (
    <Dialog
      open
      onClose={onClose}
      title="Add a user"
      text="Viewers look, members submit jobs and manage their own, admins look after everything."
      action="Add"
      disabled={!name || password.length < 8}
      onAction={async () => {
        await addUser(name, role, password);
        done(`${name} has been added`);
      }}
    >
      <div className={styles["form"]}>
        <Field label="Name">{(id) => <Input id={id} autoCapitalize="none" maxLength={64} required value={name} onChange={(event) => setName(event.target.value)} />}</Field>
        <Select label="Role" shown value={role} options={ROLES} onChange={setRole} />
        <Field label="Password" hint="8 characters at least.">
          {(id) => <Input id={id} type="password" autoComplete="new-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
      </div>
    </Dialog>
  );
}

function PasswordDialog({ name, done, onClose }: { name: string; done: (text: string) => void; onClose: () => void }) {
  const [password, setPassword] = useState("");
  return (
    <Dialog
      open
      onClose={onClose}
      title={`New password for ${name}`}
      text="All of their sessions and logins end."
      action="Set it"
      disabled={password.length < 8}
      onAction={async () => {
        await changeUser(name, { password });
        done(`${name} has a new password`);
      }}
    >
      <Field label="Password" hint="8 characters at least.">
        {(id) => <Input id={id} type="password" autoComplete="new-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}
      </Field>
    </Dialog>
  );
}
