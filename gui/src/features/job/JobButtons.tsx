import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { ChartLine, CircleStop, CopyPlus, Ellipsis, FileDown, RotateCcw, Terminal, Trash2 } from "lucide-react";
import { useState } from "react";

import { deleteJob, refresh, rerunJob, stopJob } from "@/api/actions";
import { address, get, part } from "@/api/client";
import type { JobDetails } from "@/api/types";
import { Button, IconButton } from "@/components/Button";
import { copyText } from "@/components/CopyButton";
import { Dialog } from "@/components/Dialog";
import { Menu, MenuItem, MenuLine, MenuLink } from "@/components/Menu";
import { complain, tell } from "@/components/Toasts";
import { CloneDialog } from "@/features/actions/CloneDialog";
import { showTensorBoard } from "@/features/actions/tensorboard";
import { shortId } from "@/lib/format";
import { isFinal } from "@/lib/states";

import styles from "./JobPage.module.css";

/** What can be done with one job. */
export function JobButtons({ job }: { job: JobDetails }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState<"clone" | "delete" | "stop" | null>(null);
  const name = job.name ?? shortId(job.job_id);
  const rerun = () =>
    rerunJob(job.job_id, {}).then(
      (again) => {
        tell("Queued again", `as ${again.name ?? shortId(again.job_id)}`);
        refresh(client, "rows", "queue", "server");
        void navigate({ to: "/jobs/$jobId", params: { jobId: again.job_id } });
      },
      (error: unknown) => complain("It was not queued again", error),
    );
  const copy = async () => {
    try {
      const { command } = await get<{ command: string }>(`/jobs/${part(job.job_id)}/reproduce`);
      await copyText(command);
      tell("Copied", command);
    } catch (error) {
      complain("The command could not be copied", error);
    }
  };
  const remove = async () => {
    await deleteJob(job.job_id);
    tell(`${name} is deleted`);
    refresh(client, "rows", "projects");
    void navigate({ to: "/projects/$project/jobs", params: { project: job.project } });
  };
  const stop = async () => {
    await stopJob(job.job_id);
    refresh(client, "job", "rows", "queue");
  };
  return (
    <div className={styles["buttons"]}>
      {!isFinal(job.state) && (
        <Button kind="danger" disabled={job.state === "stopping"} onClick={() => setOpen("stop")}>
          <CircleStop aria-hidden />
          Stop
        </Button>
      )}
      <Button onClick={() => void rerun()}>
        <RotateCcw aria-hidden />
        Rerun
      </Button>
      <Button onClick={() => setOpen("clone")}>
        <CopyPlus aria-hidden />
        Clone…
      </Button>
      <Menu
        trigger={
          <IconButton label="More" kind="plain">
            <Ellipsis aria-hidden />
          </IconButton>
        }
      >
        <MenuItem icon={<Terminal aria-hidden />} onSelect={() => void copy()}>
          Copy the command that repeats it
        </MenuItem>
        <MenuLink icon={<FileDown aria-hidden />} href={address(`/jobs/${part(job.job_id)}/archive`)}>
          Download code and results
        </MenuLink>
        <MenuLink icon={<FileDown aria-hidden />} href={address(`/jobs/${part(job.job_id)}/artifacts.tgz`)}>
          Download the artifacts
        </MenuLink>
        <MenuItem icon={<ChartLine aria-hidden />} onSelect={() => void showTensorBoard([job.job_id])}>
          Open in TensorBoard
        </MenuItem>
        <MenuLine />
        <MenuItem icon={<Trash2 aria-hidden />} danger disabled={!isFinal(job.state)} onSelect={() => setOpen("delete")}>
          Delete
        </MenuItem>
      </Menu>
      {open === "clone" && <CloneDialog job={job} onClose={() => setOpen(null)} />}
      {open === "stop" && (
        <Dialog open onClose={() => setOpen(null)} title={`Stop ${name}?`} text="It is ended, and what it recorded stays." action="Stop" dangerous onAction={stop} />
      )}
      {open === "delete" && (
        <Dialog
          open
          onClose={() => setOpen(null)}
          title={`Delete ${name}?`}
          text="Its code, log, metrics and artifacts go with it. This cannot be taken back."
          action="Delete"
          dangerous
          onAction={remove}
        />
      )}
    </div>
  );
}
