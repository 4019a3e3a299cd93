import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Archive, ArchiveRestore, Ellipsis, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";

import { deleteProject, editProject, refresh } from "@/api/actions";
import type { Project } from "@/api/types";
import { IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input } from "@/components/Field";
import { Menu, MenuItem, MenuLine } from "@/components/Menu";
import { complain, tell } from "@/components/Toasts";
import { plural } from "@/lib/format";

/** Rename, archive, delete. */
export function ProjectMenu({ project, leave = false }: { project: Project; leave?: boolean }) {
  const client = useQueryClient();
  const [open, setOpen] = useState<"rename" | "delete" | null>(null);
  const archived = project.archived_at !== null;
  const archive = () =>
    editProject(project.name, { archived: !archived }).then(
      () => {
        tell(archived ? "Back among the projects" : "Archived", archived ? undefined : "It is shown with the switch “Archived”.");
        refresh(client, "projects", "project");
      },
      (error: unknown) => complain("It was not changed", error),
    );
  return (
    <>
      <Menu
        trigger={
          <IconButton label={`More about ${project.name}`} small>
            <Ellipsis aria-hidden />
          </IconButton>
        }
      >
        <MenuItem icon={<Pencil aria-hidden />} onSelect={() => setOpen("rename")}>
          Rename
        </MenuItem>
        <MenuItem icon={archived ? <ArchiveRestore aria-hidden /> : <Archive aria-hidden />} onSelect={() => void archive()}>
          {archived ? "Take out of the archive" : "Archive"}
        </MenuItem>
        <MenuLine />
        <MenuItem icon={<Trash2 aria-hidden />} danger onSelect={() => setOpen("delete")}>
          Delete
        </MenuItem>
      </Menu>
      {open === "rename" && <Rename project={project} onClose={() => setOpen(null)} leave={leave} />}
      {open === "delete" && <Delete project={project} onClose={() => setOpen(null)} leave={leave} />}
    </>
  );
}

function Rename({ project, onClose, leave }: { project: Project; onClose: () => void; leave: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState(project.name);
  const act = async () => {
    await editProject(project.name, { name: name.trim() });
    refresh(client, "projects", "project");
    if (leave) void navigate({ to: "/projects/$project/jobs", params: { project: name.trim() } });
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Rename the project"
      text="Its jobs keep their IDs. Scripts and folders that name the old project make it anew."
      action="Rename"
      disabled={name.trim() === "" || name.trim() === project.name}
      onAction={act}
    >
      <Field label="Name">{(id) => <Input id={id} value={name} autoFocus onChange={(event) => setName(event.target.value)} />}</Field>
    </Dialog>
  );
}

function Delete({ project, onClose, leave }: { project: Project; onClose: () => void; leave: boolean }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const total = Object.values(project.jobs).reduce((sum, count) => sum + count, 0);
  const act = async () => {
    const { deleted } = await deleteProject(project.name);
    tell(`${project.name} is deleted`, plural(deleted, "job"));
    refresh(client, "projects");
    if (leave) void navigate({ to: "/projects" });
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Delete ${project.name}?`}
      text={`With it go its ${plural(total, "job")}: code, logs, metrics and artifacts. This cannot be taken back; “Archive” only hides it.`}
      action="Delete for good"
      dangerous
      disabled={typed !== project.name}
      onAction={act}
    >
      <Field label={`Type ${project.name} to confirm`}>
        {(id) => <Input id={id} value={typed} onChange={(event) => setTyped(event.target.value)} />}
      </Field>
    </Dialog>
  );
}
