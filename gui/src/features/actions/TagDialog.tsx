import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { bulk, type Bulk, refresh } from "@/api/actions";
import { Dialog } from "@/components/Dialog";
import { Field, Input, Segments } from "@/components/Field";
import { tell } from "@/components/Toasts";
import { plural } from "@/lib/format";

/** Set or remove a tag of many jobs. */
export function TagDialog({ order, count, onClose }: { order: Omit<Bulk, "action">; count: number; onClose: () => void }) {
  const client = useQueryClient();
  const [mode, setMode] = useState<"tag" | "untag">("tag");
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const act = async () => {
    const name = key.trim();
    const result = await bulk(mode === "tag" ? { ...order, action: "tag", tags: { [name]: value } } : { ...order, action: "untag", keys: [name] });
    tell(mode === "tag" ? "Tagged" : "Tag removed", plural(result.done.length, "job"));
    refresh(client, "rows", "columns", "job");
  };
  return (
    <Dialog open onClose={onClose} title={`Tag ${plural(count, "job")}`} action={mode === "tag" ? "Set the tag" : "Remove the tag"} disabled={key.trim() === ""} onAction={act}>
      <Segments label="What to do" value={mode} onChange={setMode} options={[["tag", "Set"], ["untag", "Remove"]]} />
      <div style={{ height: 12 }} />
      <Field label="Tag">{(id) => <Input id={id} value={key} autoFocus onChange={(event) => setKey(event.target.value)} />}</Field>
      {mode === "tag" && (
        <Field label="Value" hint="May stay empty.">
          {(id) => <Input id={id} value={value} onChange={(event) => setValue(event.target.value)} />}
        </Field>
      )}
    </Dialog>
  );
}
