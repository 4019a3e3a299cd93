import { Dialog } from "@base-ui/react/dialog";
import { useNavigate } from "@tanstack/react-router";
import { FolderKanban, ListOrdered, type LucideIcon, Moon, Search, Server, Sun } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useEffect, useId, useMemo, useState } from "react";

import { useJobSearch, useProjects } from "@/api/queries";
import dialogStyles from "@/components/Dialog.module.css";
import { Status } from "@/components/Status";
import { plural, shortId } from "@/lib/format";
import { chooseTheme } from "@/lib/theme";

import styles from "./Palette.module.css";

interface Entry {
  key: string;
  group: string;
  name: string;
  aside?: ReactNode;
  icon: ReactNode;
  act: () => void;
}

/** Everything by its name, from the keyboard: projects, jobs, pages. */
export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog.Root open={open} onOpenChange={(now) => !now && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={dialogStyles["veil"]} />
        <Dialog.Popup className={styles["popup"]} aria-label="Search">
          <Finder onClose={onClose} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Finder({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const entries = useEntries(useDeferredValue(text.trim()), onClose);
  const chosen = Math.min(at, entries.length - 1);
  useEffect(() => setAt(0), [text]);
  useEffect(() => {
    document.getElementById(`${list}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen, list]);

  const pressed = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, entries.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") entries[chosen]?.act();
    else return;
    event.preventDefault();
  };

  return (
    <>
      <div className={styles["input"]}>
        <Search aria-hidden />
        <input
          autoFocus
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={pressed}
          placeholder="A project, a job's name or the beginning of its ID"
          aria-label="Search projects, jobs and pages"
          role="combobox"
          aria-expanded
          aria-controls={list}
          aria-activedescendant={entries.length > 0 ? `${list}-${chosen}` : undefined}
          autoComplete="off"
          spellCheck={false}
        />
      </div>
      <div className={styles["list"]} role="listbox" id={list} aria-label="Found" tabIndex={-1}>
        {entries.map((entry, index) => (
          <div key={entry.key} role="presentation">
            {entry.group !== entries[index - 1]?.group && (
              <div className={styles["group"]} role="presentation">
                {entry.group}
              </div>
            )}
            {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events -- the input above has the keys */}
            <div
              role="option"
              id={`${list}-${index}`}
              aria-selected={index === chosen}
              tabIndex={-1}
              className={styles["item"]}
              onPointerMove={() => setAt(index)}
              onClick={entry.act}
            >
              {entry.icon}
              <span className={styles["name"]}>{entry.name}</span>
              <span className={styles["aside"]}>{entry.aside}</span>
            </div>
          </div>
        ))}
      </div>
      {entries.length === 0 && <p className={styles["none"]}>Nothing is called that.</p>}
    </>
  );
}

function useEntries(text: string, onClose: () => void): Entry[] {
  const navigate = useNavigate();
  const projects = useProjects();
  const jobs = useJobSearch(text);
  return useMemo(() => {
    const go = (to: () => void) => () => {
      onClose();
      to();
    };
    const fits = (name: string) => name.toLowerCase().includes(text.toLowerCase());
    const entries: Entry[] = [];
    for (const job of jobs.data ?? []) {
      entries.push({
        key: job.job_id,
        group: "Jobs",
        name: job.name ?? shortId(job.job_id),
        aside: `${job.project}${job.name ? ` · ${shortId(job.job_id)}` : ""}`,
        icon: <Status state={job.state} bare />,
        act: go(() => void navigate({ to: "/jobs/$jobId", params: { jobId: job.job_id } })),
      });
    }
    const known = [...(projects.data ?? [])].sort((a, b) => (b.last_submitted_at ?? 0) - (a.last_submitted_at ?? 0));
    for (const project of known.filter(({ name }) => fits(name)).slice(0, text ? 8 : 5)) {
      const count = Object.values(project.jobs).reduce((sum, n) => sum + n, 0);
      entries.push({
        key: `project ${project.name}`,
        group: "Projects",
        name: project.name,
        aside: plural(count, "job"),
        icon: <FolderKanban aria-hidden />,
        act: go(() => void navigate({ to: "/projects/$project/jobs", params: { project: project.name } })),
      });
    }
    const page = (name: string, Icon: LucideIcon, act: () => void): Entry => ({
      key: name,
      group: "Pages and settings",
      name,
      icon: <Icon aria-hidden />,
      act: go(act),
    });
    const pages = [
      page("All projects", FolderKanban, () => void navigate({ to: "/projects" })),
      page("Queue", ListOrdered, () => void navigate({ to: "/queue" })),
      page("Nodes", Server, () => void navigate({ to: "/nodes" })),
      page("Light theme", Sun, () => chooseTheme("light")),
      page("Dark theme", Moon, () => chooseTheme("dark")),
    ];
    return [...entries, ...pages.filter(({ name }) => fits(name))];
  }, [text, jobs.data, projects.data, navigate, onClose]);
}
