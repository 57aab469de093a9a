// CPU seconds of the system's processes, from /proc: on a machine that others use too, they say more than the clock.

import { readdirSync, readFileSync } from 'node:fs';

/** CPU seconds since the start of each process, by name; `postgres` and `redis` only where we run under services.js. */
export type CpuTimes = Readonly<Record<string, number>>;

/** Process ids of the system under measurement. */
export interface SystemPids {
  readonly api: number;
  readonly dispatcher: number;
  readonly analysis: readonly number[];
  readonly profile?: readonly number[];
}

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly seconds: number;
}

/** Linux counts in ticks of 10 ms for user space on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** @param pids ours, by name; `analysis` workers' children are counted as `inference`. */
export function readCpuTimes(pids: SystemPids): CpuTimes {
  const all = readStats();
  const sum = (chosen: readonly ProcessStat[]) => chosen.reduce((total, { seconds }) => total + seconds, 0);
  const own = (...wanted: number[]) => sum(all.filter(({ pid }) => wanted.includes(pid)));
  const servers = descendants(all, process.ppid);
  return {
    client: own(process.pid),
    api: own(pids.api),
    dispatcher: own(pids.dispatcher),
    analysis: own(...pids.analysis),
    profile: own(...(pids.profile ?? [])),
    inference: sum(all.filter(({ parent }) => pids.analysis.includes(parent))),
    postgres: sum(servers.filter(({ name }) => name.startsWith('postgres'))),
    redis: sum(servers.filter(({ name }) => name.startsWith('redis'))),
  };
}

/** Microseconds per text between two readings. */
export function microsecondsPerText(before: CpuTimes, after: CpuTimes, texts: number): CpuTimes {
  const entries = Object.entries(after).map(([name, seconds]) => {
    return [name, Math.round(((seconds - (before[name] ?? 0)) * 1e6) / texts)] as const;
  });
  return Object.fromEntries(entries);
}

/** CPU seconds of a process and everything it started. */
export function readTreeSeconds(pid: number): number {
  const all = readStats();
  const own = all.filter((stat) => stat.pid === pid);
  return [...own, ...descendants(all, pid)].reduce((total, { seconds }) => total + seconds, 0);
}

/** A process and everything it started that still runs, whatever group it is in by now. */
export function listTree(pid: number): readonly number[] {
  const all = readStats();
  const own = all.filter((stat) => stat.pid === pid);
  return [...own, ...descendants(all, pid)].map((stat) => stat.pid);
}

function readStats(): readonly ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readStat(Number(pid)) ?? []);
}

/** A process that ended meanwhile is none. Children that it has waited for are in its figures (proc(5), stat). */
function readStat(pid: number): ProcessStat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const nameEnd = stat.lastIndexOf(')');
    const fields = stat
      .slice(nameEnd + 2)
      .split(' ')
      .map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
    const name = stat.slice(stat.indexOf('(') + 1, nameEnd);
    return { pid, parent: fields[1] ?? 0, name, seconds: ticks / ticksPerSecond };
  } catch {
    return undefined;
  }
}

function descendants(all: readonly ProcessStat[], ancestor: number): readonly ProcessStat[] {
  const children = all.filter(({ parent, pid }) => parent === ancestor && pid !== process.pid);
  return children.flatMap((child) => [child, ...descendants(all, child.pid)]);
}
