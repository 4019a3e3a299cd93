import { formatMemory, formatNumber, plural } from "./format";

interface Asking {
  resources: { cpus: number; memory: number | null; gpus: number };
  num_nodes: number;
}

/** What a job asks for: `2 nodes, each 4 CPUs, 1 GPU, 8 GB`. */
export function askedFor({ resources: { cpus, memory, gpus }, num_nodes: nodes }: Asking): string {
  const each = [`${formatNumber(cpus)} ${cpus === 1 ? "CPU" : "CPUs"}`, gpus > 0 && `${formatNumber(gpus)} ${gpus === 1 ? "GPU" : "GPUs"}`, memory !== null && formatMemory(memory)].filter(Boolean).join(", ");
  return nodes > 1 ? `${plural(nodes, "node")}, each ${each}` : each;
}
