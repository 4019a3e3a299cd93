/** Paths as a tree of folders, folders first. */

export interface TreeNode<T> {
  name: string;
  path: string;
  /** Undefined: a folder. */
  leaf: T | undefined;
  children: TreeNode<T>[];
}

export function treeOf<T>(items: readonly T[], pathOf: (item: T) => string): TreeNode<T>[] {
  const root: TreeNode<T> = { name: "", path: "", leaf: undefined, children: [] };
  const folders = new Map<string, TreeNode<T>>([["", root]]);
  const folder = (path: string): TreeNode<T> => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const cut = path.lastIndexOf("/");
    const made: TreeNode<T> = { name: path.slice(cut + 1), path, leaf: undefined, children: [] };
    folders.set(path, made);
    folder(cut < 0 ? "" : path.slice(0, cut)).children.push(made);
    return made;
  };
  for (const item of items) {
    const path = pathOf(item);
    const cut = path.lastIndexOf("/");
    folder(cut < 0 ? "" : path.slice(0, cut)).children.push({ name: path.slice(cut + 1), path, leaf: item, children: [] });
  }
  const sort = (nodes: TreeNode<T>[]): TreeNode<T>[] => {
    for (const node of nodes) sort(node.children);
    return nodes.sort((a, b) => Number(a.leaf !== undefined) - Number(b.leaf !== undefined) || a.name.localeCompare(b.name, undefined, { numeric: true }));
  };
  return sort(root.children);
}
