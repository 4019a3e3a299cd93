import { useNavigate } from "@tanstack/react-router";
import { ChartLine, CircleStop, Download, GitCompareArrows, RotateCcw, Tag as TagIcon, Trash2, X } from "lucide-react";
import { useState } from "react";

import type { Bulk } from "@/api/actions";
import { type Selection, TIME_ZONE } from "@/api/queries";
import { Button, IconButton } from "@/components/Button";
import { BulkDialog } from "@/features/actions/BulkDialog";
import { TagDialog } from "@/features/actions/TagDialog";
import { showTensorBoard } from "@/features/actions/tensorboard";

import { ExportMenu } from "./ExportMenu";
import styles from "./SelectionBar.module.css";
import type { Chosen } from "./useChosen";

const MOST_COMPARED = 50;

/** What can be done with the selected jobs. */
export function SelectionBar({ chosen, selection, columns }: { chosen: Chosen; selection: Selection; columns: readonly string[] | undefined }) {
  const [open, setOpen] = useState<"stop" | "delete" | "rerun" | "tag" | null>(null);
  const navigate = useNavigate();
  if (chosen.count === 0) return null;
  const ids = chosen.jobs.map((job) => job.job_id);
  const order: Omit<Bulk, "action"> = chosen.everything
    ? { query: selection.query ?? "", tz: TIME_ZONE, ...(selection.project === undefined ? {} : { project: selection.project }) }
    : { jobs: ids };
  const exported: Selection = chosen.everything ? selection : { ...selection, query: `id in (${ids.map((id) => `"${id}"`).join(", ")})` };
  const close = () => setOpen(null);
  return (
    <>
      <div className={styles["bar"]} role="toolbar" aria-label="Selected jobs">
        <strong className="num" aria-live="polite">
          {chosen.count.toLocaleString("en")} selected
        </strong>
        <Button
          kind="primary"
          small
          disabled={chosen.everything || ids.length < 2 || ids.length > MOST_COMPARED}
          title={ids.length > MOST_COMPARED || chosen.everything ? `Up to ${MOST_COMPARED} jobs can be compared` : undefined}
          onClick={() => void navigate({ to: "/compare", search: { jobs: ids } })}
        >
          <GitCompareArrows aria-hidden />
          Compare
        </Button>
        <Button kind="quiet" small onClick={() => setOpen("stop")}>
          <CircleStop aria-hidden />
          Stop
        </Button>
        <Button kind="quiet" small onClick={() => setOpen("rerun")}>
          <RotateCcw aria-hidden />
          Rerun
        </Button>
        <Button kind="quiet" small onClick={() => setOpen("tag")}>
          <TagIcon aria-hidden />
          Tag
        </Button>
        <Button kind="quiet" small disabled={chosen.everything} onClick={() => void showTensorBoard(ids)}>
          <ChartLine aria-hidden />
          TensorBoard
        </Button>
        <ExportMenu selection={exported} columns={columns}>
          <Button kind="quiet" small>
            <Download aria-hidden />
            Export
          </Button>
        </ExportMenu>
        <Button kind="quiet" small onClick={() => setOpen("delete")}>
          <Trash2 aria-hidden />
          Delete
        </Button>
        <IconButton label="Select none" small onClick={chosen.clear}>
          <X aria-hidden />
        </IconButton>
      </div>
      {open === "tag" && <TagDialog order={order} count={chosen.count} onClose={close} />}
      {open !== null && open !== "tag" && <BulkDialog action={open} order={order} count={chosen.count} onClose={close} onDone={chosen.clear} />}
    </>
  );
}
