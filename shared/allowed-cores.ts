// The cores that this process may use, in a container with a cpuset not 0, 1, 2, and those of them that were asked for.

import { readFileSync } from 'node:fs';

/** Numbers of the cores we may run on, lowest first; empty where the system does not tell (anything but Linux). */
export function allowedCores(): readonly number[] {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    return parseCoreList(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '');
  } catch {
    return [];
  }
}

/**
 * Reads the value of `--cpus`: cores in the order in which they are to be used.
 * @throws Error that says what is expected, or which of them we may not use
 */
export function readCpus(text: string, allowed: readonly number[] = allowedCores()): readonly number[] {
  if (allowed.length === 0)
    throw new Error('--cpus: only Linux ties processes to cores; leave it out, and the system places them');
  const cores = [...new Set(parseCoreList(text))];
  const malformed = text.split(',').some((part) => parseCoreList(part).length === 0);
  if (malformed) throw new Error(`--cpus: "${text}" is not a list of cores like 0,1 or 0-3`);
  const foreign = cores.filter((core) => !allowed.includes(core));
  if (foreign.length > 0)
    throw new Error(`--cpus: not ours to use: ${foreign.join(', ')}; we may run on ${allowed.join(', ')}`);
  return cores;
}

/** Reads the kernel's list format, `0-3,6`. */
export function parseCoreList(text: string): readonly number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined) return [];
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index);
  });
}
