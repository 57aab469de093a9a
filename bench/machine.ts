// Where and on what a figure was measured: a number without this says nothing.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { createRegistry } from '../models/registry.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { describeInt8, readProcessorFlags } from '../shared/processor.ts';

export interface Machine {
  readonly cpu: string;
  /** What the processor multiplies 8-bit numbers with: without VNNI or AMX, INT8 saves far less. */
  readonly int8: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    int8: describeInt8(readProcessorFlags()),
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** The commit that is checked out, and whether the source differs from it; results do not count as source. */
export function describeCommit(): { readonly commit: string; readonly dirty: boolean } {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: packageRoot, encoding: 'utf8' }).trim();
  try {
    const changes = git('status', '--porcelain', '--', '.', ':!bench/results');
    return { commit: git('rev-parse', 'HEAD'), dirty: changes !== '' };
  } catch {
    return { commit: 'unknown', dirty: true };
  }
}

/** The model that a job of this kind gets when it asks for none. */
export function describeModel(kind: string): { readonly kind: string; version: string; digest: string } {
  const model = createRegistry(readConfig().MODELS_DIR).resolve(kind);
  if (model === undefined) throw new Error(`no model of kind ${kind}`);
  return model;
}

/** Runnable processes of the last minute: much above what we start ourselves, and somebody else computes here. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

/** Cores that we may run on, lowest first, from the kernel's list format (`0-3,6`). */
export function allowedCores(): readonly number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** CPU seconds since the boot that all cores were busy, and that the host gave to others while we wanted them. */
export function readBusy(): { readonly busySeconds: number; readonly stolenSeconds: number } {
  const line = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { busySeconds: (user + nice + system + irq + softirq) / 100, stolenSeconds: steal / 100 };
}

/** Resident memory of processes, in MB, by name; several of a name are added up. */
export function readMemoryMb(
  pids: Readonly<Record<string, number | readonly number[]>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(pids).map(([name, ids]) => {
      const sum = [ids].flat().reduce((total, pid) => total + readResidentKb(pid), 0);
      return [name, Math.round(sum / 1024)];
    }),
  );
}

function readResidentKb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}
