import { useQueryClient } from "@tanstack/react-query";
import { Pencil, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";

import { addNote, deleteNote, editNote, refresh } from "@/api/actions";
import { useNotes } from "@/api/queries";
import type { Note } from "@/api/types";
import { Button, IconButton } from "@/components/Button";
import { TextArea } from "@/components/Field";
import { Markdown } from "@/components/Markdown";
import { Panel } from "@/components/Panel";
import { complain } from "@/components/Toasts";
import { useNow } from "@/lib/clock";
import { formatAgo, formatDate } from "@/lib/format";

import styles from "./Notes.module.css";

/** What people found out, newest first. */
export function Notes({ project }: { project: string }) {
  const client = useQueryClient();
  const { data } = useNotes(project);
  const [body, setBody] = useState("");
  const done = () => refresh(client, "notes");
  const add = (event: FormEvent) => {
    event.preventDefault();
    addNote(project, body).then(
      () => {
        setBody("");
        done();
      },
      (error: unknown) => complain("The note was not kept", error),
    );
  };
  return (
    <Panel title="Notes" count={data?.length || undefined}>
      <div data-testid="notes">
        {(data ?? []).map((note) => (
          <OneNote key={note.id} project={project} note={note} onDone={done} />
        ))}
      </div>
      <form className={styles["form"]} onSubmit={add}>
        <TextArea aria-label="New note" placeholder="What did you find out?" rows={3} value={body} onChange={(event) => setBody(event.target.value)} />
        <Button type="submit" small kind="primary" disabled={body.trim() === ""}>
          Add the note
        </Button>
      </form>
    </Panel>
  );
}

function OneNote({ project, note, onDone }: { project: string; note: Note; onDone: () => void }) {
  const now = useNow(false);
  const [draft, setDraft] = useState<string | null>(null);
  const save = () =>
    editNote(project, note.id, draft ?? "").then(
      () => {
        setDraft(null);
        onDone();
      },
      (error: unknown) => complain("The note was not changed", error),
    );
  const remove = () => deleteNote(project, note.id).then(onDone, (error: unknown) => complain("The note was not deleted", error));
  return (
    <article className={styles["note"]}>
      <div className={styles["by"]}>
        <strong>{note.author}</strong>
        <time title={formatDate(note.created_at)}>
          {formatAgo(note.created_at, now)}
          {note.edited_at !== null && ", edited"}
        </time>
        <span>
          <IconButton label="Edit the note" small onClick={() => setDraft(note.body)}>
            <Pencil aria-hidden />
          </IconButton>
          <IconButton label="Delete the note" small onClick={() => void remove()}>
            <Trash2 aria-hidden />
          </IconButton>
        </span>
      </div>
      {draft === null ? (
        <Markdown text={note.body} />
      ) : (
        <div className={styles["form"]}>
          <TextArea aria-label="Note" rows={4} value={draft} autoFocus onChange={(event) => setDraft(event.target.value)} />
          <span>
            <Button small kind="quiet" onClick={() => setDraft(null)}>
              Cancel
            </Button>{" "}
            <Button small kind="primary" onClick={() => void save()}>
              Save
            </Button>
          </span>
        </div>
      )}
    </article>
  );
}
