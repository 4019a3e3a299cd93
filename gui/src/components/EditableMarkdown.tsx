import { Pencil } from "lucide-react";
import { useState } from "react";

import { Button } from "./Button";
import { TextArea } from "./Field";
import { Markdown } from "./Markdown";
import { Panel } from "./Panel";
import { complain } from "./Toasts";

/** Text in markdown that is edited where it stands. */
export function EditableMarkdown({
  title,
  text,
  empty,
  rows = 6,
  onSave,
}: {
  title: string;
  text: string;
  empty: string;
  rows?: number;
  onSave: (text: string) => Promise<unknown>;
}) {
  const [draft, setDraft] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const save = () => {
    if (draft === null) return;
    setBusy(true);
    onSave(draft)
      .then(() => setDraft(null), (error: unknown) => complain("It was not saved", error))
      .finally(() => setBusy(false));
  };
  return (
    <Panel
      title={title}
      tools={
        draft === null ? (
          <Button small kind="quiet" onClick={() => setDraft(text)} aria-label={`Edit ${title.toLowerCase()}`}>
            <Pencil aria-hidden />
            Edit
          </Button>
        ) : (
          <>
            <Button small kind="quiet" onClick={() => setDraft(null)}>
              Cancel
            </Button>
            <Button small kind="primary" disabled={busy} onClick={save}>
              Save
            </Button>
          </>
        )
      }
    >
      {draft !== null ? (
        <TextArea
          aria-label={title}
          rows={rows}
          value={draft}
          autoFocus
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
            if (event.key === "Escape") setDraft(null);
          }}
        />
      ) : text.trim() === "" ? (
        <p style={{ color: "var(--ink-3)" }}>{empty}</p>
      ) : (
        <Markdown text={text} />
      )}
    </Panel>
  );
}
