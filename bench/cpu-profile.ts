// How much of a node process's work was done on behalf of certain packages, from a profile that `--cpu-prof` wrote:
// a sample belongs to a package when any function on its stack lies in it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

export const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
      children: z.array(z.number()).default([]),
    }),
  ),
  /** Microseconds of the monotonic clock, which all processes of a machine share. */
  startTime: z.number(),
  samples: z.array(z.number()),
  /** Microseconds from the start, or from the sample before. */
  timeDeltas: z.array(z.number()),
});

type Profile = z.infer<typeof profileSchema>;

/** A stretch of the monotonic clock, in microseconds. */
export interface Window {
  readonly fromUs: number;
  readonly toUs: number;
}

/** The time on the clock that windows are cut from. */
export function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** The share of the samples in the window in which the process was not idle that belong to the packages, 0..1. */
export function shareOf(profile: Profile, packages: readonly string[], window: Window): number {
  const parents = new Map(
    profile.nodes.flatMap(({ id, children }) => children.map((child) => [child, id] as const)),
  );
  const own = new Set(
    profile.nodes
      .filter(({ callFrame }) => packages.some((name) => callFrame.url.includes(`/node_modules/${name}/`)))
      .map(({ id }) => id),
  );
  const idle = new Set(
    profile.nodes
      .filter(({ callFrame }) => ['(idle)', '(program)'].includes(callFrame.functionName))
      .map(({ id }) => id),
  );
  const belongs = new Map<number, boolean>();
  const isOwn = (id: number | undefined): boolean => {
    if (id === undefined) return false;
    const known = belongs.get(id) ?? (own.has(id) || isOwn(parents.get(id)));
    belongs.set(id, known);
    return known;
  };
  let atUs = profile.startTime;
  const busy = profile.samples.filter((id, index) => {
    atUs += profile.timeDeltas[index] ?? 0;
    return !idle.has(id) && atUs >= window.fromUs && atUs <= window.toUs;
  });
  return busy.filter(isOwn).length / Math.max(1, busy.length);
}

/** The profiles that the processes left in the folder, by process id: node puts it into the name of the file. */
export function readProfiles(folder: string): ReadonlyMap<number, Profile> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  return new Map(
    files.map((name) => {
      // CPU.<date>.<time>.<process>.<thread>.<sequence>.cpuprofile
      const pid = Number(name.split('.')[3]);
      return [pid, profileSchema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8')))] as const;
    }),
  );
}
