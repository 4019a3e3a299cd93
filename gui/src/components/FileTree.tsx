import { ChevronDown, ChevronRight, File, Folder } from "lucide-react";
import { type ReactNode, useState } from "react";

import type { TreeNode } from "@/lib/tree";

import split from "./SplitView.module.css";

interface Props<T> {
  nodes: readonly TreeNode<T>[];
  current: string | undefined;
  onOpen: (leaf: T) => void;
  aside: (leaf: T) => ReactNode;
  depth?: number;
}

/** Folders that open and files that are shown. */
export function FileTree<T>({ nodes, current, onOpen, aside, depth = 0 }: Props<T>) {
  return (
    <ul>
      {nodes.map((node) =>
        node.leaf === undefined ? (
          <Branch key={node.path} node={node} current={current} onOpen={onOpen} aside={aside} depth={depth} />
        ) : (
          <li key={node.path}>
            <button
              type="button"
              className={split["item"]}
              style={{ paddingLeft: 8 + depth * 15 }}
              aria-current={node.path === current}
              title={node.path}
              onClick={() => onOpen(node.leaf as T)}
            >
              <File aria-hidden />
              <span>{node.name}</span>
              <span className={split["aside"]}>{aside(node.leaf)}</span>
            </button>
          </li>
        ),
      )}
    </ul>
  );
}

function Branch<T>({ node, depth = 0, ...rest }: { node: TreeNode<T> } & Omit<Props<T>, "nodes">) {
  const [open, setOpen] = useState(depth < 1 || (rest.current ?? "").startsWith(`${node.path}/`));
  const Arrow = open ? ChevronDown : ChevronRight;
  return (
    <li>
      <button type="button" className={split["item"]} style={{ paddingLeft: 8 + depth * 15 }} aria-expanded={open} onClick={() => setOpen(!open)}>
        <Arrow aria-hidden />
        <Folder aria-hidden />
        <span>{node.name}</span>
      </button>
      {open && <FileTree nodes={node.children} depth={depth + 1} {...rest} />}
    </li>
  );
}
