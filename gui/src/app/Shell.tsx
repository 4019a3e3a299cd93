import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { FolderKanban, ListOrdered, Monitor, Moon, Search, Server, Sun, Unplug } from "lucide-react";
import { useEffect, useRef, useState } from "react";

import { useMe } from "@/api/accounts";
import { openFeed, useConnection } from "@/api/feed";
import { useServer } from "@/api/queries";
import type { Me } from "@/api/types";
import { IconButton } from "@/components/Button";
import { Menu, MenuChoice } from "@/components/Menu";
import { Trouble } from "@/components/Panel";
import { Toasts } from "@/components/Toasts";
import { LoginPage } from "@/features/accounts/LoginPage";
import { UserMenu } from "@/features/accounts/UserMenu";
import { ROOT } from "@/lib/root";
import { chooseTheme, type Theme, useIsDark, useTheme } from "@/lib/theme";

import { Palette } from "./Palette";
import styles from "./Shell.module.css";

/** The pages, for those who may see them: where the server asks who is there, a login stands before. */
export function Shell() {
  const { data, error, refetch } = useMe();
  const inside = data !== undefined && (!data.authentication || data.user !== null);
  useEffect(() => {
    if (inside) openFeed();
  }, [inside]);
  if (data === undefined) {
    return error === null ? null : (
      <main id="main">
        <Trouble error={error} retry={() => void refetch()} />
      </main>
    );
  }
  return inside ? <Pages me={data.user} /> : <LoginPage />;
}

function Pages({ me }: { me: Me | null }) {
  const [finding, setFinding] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
      if ((event.key === "k" && (event.metaKey || event.ctrlKey)) || (event.key === "/" && !typing && !event.defaultPrevented)) {
        event.preventDefault();
        setFinding(true);
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, []);

  return (
    <>
      <a className={styles["skip"]} href="#main">
        Skip to the content
      </a>
      <header className={styles["header"]}>
        <Link to="/projects" className={styles["brand"]}>
          <img src={`${ROOT}/icon.svg`} alt="" />
          Atlas
        </Link>
        <Navigation />
        <button type="button" className={styles["find"]} onClick={() => setFinding(true)}>
          <Search aria-hidden />
          <span>Search projects and jobs</span>
          <kbd aria-hidden>/</kbd>
        </button>
        <ThemeMenu />
        {me !== null && <UserMenu me={me} />}
      </header>
      <Lost />
      <div className={styles["content"]}>
        <Outlet />
      </div>
      <Palette open={finding} onClose={() => setFinding(false)} />
      <Toasts />
      <Announcer />
    </>
  );
}

function Navigation() {
  const { data } = useServer();
  const active = (data?.jobs["running"] ?? 0) + (data?.jobs["starting"] ?? 0) + (data?.jobs["stopping"] ?? 0);
  const waiting = data?.jobs["queued"] ?? 0;
  return (
    <nav className={styles["nav"]} aria-label="Main">
      <Link to="/projects">
        <FolderKanban aria-hidden />
        Projects
      </Link>
      <Link to="/queue">
        <ListOrdered aria-hidden />
        Queue
        {active + waiting > 0 && (
          <span className={`${styles["count"]} ${active > 0 ? styles["busy"] : ""} num`} title={`${active} running, ${waiting} waiting`}>
            {active + waiting}
          </span>
        )}
      </Link>
      <Link to="/nodes">
        <Server aria-hidden />
        Nodes
      </Link>
    </nav>
  );
}

const THEMES = [
  { value: "system", label: "As the system", icon: <Monitor aria-hidden /> },
  { value: "light", label: "Light", icon: <Sun aria-hidden /> },
  { value: "dark", label: "Dark", icon: <Moon aria-hidden /> },
] as const satisfies { value: Theme; label: string; icon: unknown }[];

function ThemeMenu() {
  const theme = useTheme();
  const dark = useIsDark();
  return (
    <Menu trigger={<IconButton label="Theme">{dark ? <Moon aria-hidden /> : <Sun aria-hidden />}</IconButton>}>
      <MenuChoice value={theme} options={THEMES} onChange={chooseTheme} />
    </Menu>
  );
}

/** The server went away: what is shown stays, and says how old it may be. */
function Lost() {
  const connection = useConnection();
  const queries = useQueryClient();
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (connection !== "lost") return;
    // Or the session has ended, and the feed with it: then the answer is the login.
    void queries.invalidateQueries({ queryKey: ["me"] });
    // A restart takes a moment; only what lasts is worth a word.
    const timer = window.setTimeout(() => setLate(true), 1500);
    return () => window.clearTimeout(timer);
  }, [connection, queries]);
  return (
    <div role="status">
      {late && (
        <div className={styles["lost"]}>
          <Unplug aria-hidden />
          The server does not answer. What you see may be old; it comes back by itself when the server does.
        </div>
      )}
    </div>
  );
}

/** Tells a screen reader where it is after each change of page, and puts the focus there. */
function Announcer() {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname ?? "" });
  const first = useRef(true);
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = window.setTimeout(() => setSaid(document.title), 150);
    return () => window.clearTimeout(timer);
  }, [path]);
  return (
    <div className="hidden" role="status">
      {said}
    </div>
  );
}
