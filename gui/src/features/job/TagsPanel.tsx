import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";

import { editJob, type JobEdit, refresh } from "@/api/actions";
import type { JobDetails } from "@/api/types";
import { Button } from "@/components/Button";
import { Input } from "@/components/Field";
import { Panel } from "@/components/Panel";
import { Tag } from "@/components/Tag";
import { complain } from "@/components/Toasts";

import styles from "./Overview.module.css";

/** A job's tags, changed where they stand. */
export function TagsPanel({ job }: { job: JobDetails }) {
  const client = useQueryClient();
  const [text, setText] = useState("");
  const tags = Object.entries(job.tags);
  const edit = (change: JobEdit) =>
    editJob(job.job_id, change).then(
      () => {
        setText("");
        refresh(client, "job", "rows", "columns");
      },
      (error: unknown) => complain("The tags were not changed", error),
    );
  const add = (event: FormEvent) => {
    event.preventDefault();
    const [key = "", ...value] = text.split("=");
    if (key.trim() !== "") void edit({ tags: { [key.trim()]: value.join("=").trim() } });
  };
  return (
    <Panel title="Tags" count={tags.length || undefined}>
      <div className={styles["tags"]}>
        {tags.map(([name, value]) => (
          <Tag key={name} name={name} value={value} onRemove={() => void edit({ untag: [name] })} />
        ))}
        {tags.length === 0 && <span className={styles["none"]}>None yet.</span>}
      </div>
      <form className={styles["adder"]} onSubmit={add}>
        <Input aria-label="New tag" placeholder="tag or key=value" value={text} onChange={(event) => setText(event.target.value)} />
        <Button type="submit" small disabled={text.trim() === ""} style={{ height: 28 }}>
          Add
        </Button>
      </form>
    </Panel>
  );
}
