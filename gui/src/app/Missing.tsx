import { Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";

import { buttonClass } from "@/components/Button";
import { Empty, Trouble } from "@/components/Panel";

export function Missing() {
  return (
    <main id="main">
      <Empty icon={Compass} title="There is no such page">
        <p>The address may be mistyped, or what it showed was deleted or renamed.</p>
        <Link to="/projects" className={buttonClass({ kind: "primary" })}>
          All projects
        </Link>
      </Empty>
    </main>
  );
}

export function PageTrouble({ error, reset }: { error: unknown; reset?: () => void }) {
  return (
    <main id="main">
      <Trouble error={error} retry={reset ?? (() => location.reload())} />
    </main>
  );
}
