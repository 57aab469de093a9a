// What a backfill has done, on disk: a line when a chunk was submitted, and a line when its results are in the output.
// A chunk counts as done when that second line is on the disk, and the output is there before it: whatever is behind
// the last such line, in the ledger or in the output, is taken back when the run is resumed.

import { constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { isAlive } from '../folder-owner.ts';

const headSchema = z.object({
  backfill: z.literal(1),
  run_id: z.uuid(),
  /** What must not change over the run, lest chunks be cut or read differently. */
  settings: z.record(z.string(), z.unknown()),
});
const batchSchema = z.object({ chunk: z.int(), batch_id: z.string() });
const doneSchema = z.object({
  done: z.int(),
  rows: z.int(),
  failed: z.int(),
  /** Of all rows up to here. */
  digest: z.string(),
  /** Size of the output with this chunk; 0 for a table. */
  output_bytes: z.int(),
});
const endSchema = z.object({ end: z.literal(true) });

export type Done = z.output<typeof doneSchema>;

/** The state of a run that can be gone on with. */
export interface Ledger {
  readonly runId: string;
  /** The chunks that are done, in order. */
  readonly done: readonly Done[];
  /** Whether the last row of the input is done. */
  readonly ended: boolean;
  /** The batch of a chunk that was submitted and is not done. */
  readonly batchOf: (chunk: number) => string | undefined;
  readonly noteBatch: (chunk: number, batchId: string) => Promise<void>;
  /** Resolves when it is on the disk. */
  readonly noteDone: (done: Done) => Promise<void>;
  readonly noteEnd: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Opens the ledger of a run, or begins one.
 * @throws Error if one is there and `resume` is false, if it is of other settings, or if another process has it.
 */
export async function openLedger(options: {
  readonly path: string;
  readonly resume: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
}): Promise<Ledger> {
  const { path, resume, settings } = options;
  const unlock = lock(`${path}.lock`);
  try {
    const there = existsSync(path);
    if (there && !resume)
      throw new Error(`${path} is of an earlier run: add --resume to go on with it, or remove it`);
    const past = there ? readPast(path) : undefined;
    const head = past?.head ?? { backfill: 1, run_id: crypto.randomUUID(), settings };
    compareSettings(head.settings, settings);
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    // A line that was cut off by a kill must not run into the next.
    await file.truncate(past?.bytes ?? 0);
    const ledger = createLedger(file, past?.bytes ?? 0, head.run_id, past, unlock);
    if (past === undefined) {
      await ledger.write(head);
      await syncFolder(path);
    }
    return ledger;
  } catch (error) {
    unlock();
    throw error;
  }
}

interface Past {
  readonly head: z.output<typeof headSchema>;
  readonly done: Done[];
  readonly batches: Map<number, string>;
  readonly ended: boolean;
  /** Up to the end of the last whole line. */
  readonly bytes: number;
}

/** Undefined if not even the first line was finished: then nothing was done. */
function readPast(path: string): Past | undefined {
  const whole = readFileSync(path, 'utf8').replace(/[^\n]*$/, '');
  const lines = whole.split('\n').filter((line) => line !== '');
  const [first, ...rest] = lines.map((line): unknown => JSON.parse(line));
  if (first === undefined) return undefined;
  const head = headSchema.safeParse(first);
  if (!head.success) throw new Error(`${path} is no ledger of a backfill`);
  return {
    head: head.data,
    done: rest.flatMap((line) => doneSchema.safeParse(line).data ?? []),
    batches: new Map(
      rest
        .flatMap((line) => batchSchema.safeParse(line).data ?? [])
        .map(({ chunk, batch_id: batchId }) => [chunk, batchId]),
    ),
    ended: rest.some((line) => endSchema.safeParse(line).success),
    bytes: Buffer.byteLength(whole),
  };
}

function createLedger(
  file: FileHandle,
  bytes: number,
  runId: string,
  past: Past | undefined,
  unlock: () => void,
): Ledger & { readonly write: (entry: unknown) => Promise<void> } {
  let place = bytes;
  const done = [...(past?.done ?? [])];
  const batches = new Map(past?.batches);
  // One at a time, so that no line begins inside another.
  let last: Promise<void> = Promise.resolve();
  const write = (entry: unknown): Promise<void> => {
    last = last.then(async () => {
      const line = Buffer.from(`${JSON.stringify(entry)}\n`);
      await file.write(line, 0, line.length, place);
      place += line.length;
      await file.datasync();
    });
    return last;
  };
  return {
    runId,
    done,
    ended: past?.ended ?? false,
    batchOf: (chunk) => batches.get(chunk),
    noteBatch: (chunk, batchId) => {
      batches.set(chunk, batchId);
      return write({ chunk, batch_id: batchId });
    },
    noteDone: (entry) => {
      done.push(entry);
      return write(entry);
    },
    noteEnd: () => write({ end: true }),
    close: async () => {
      await last.catch(() => undefined);
      await file.close();
      unlock();
    },
    write,
  };
}

function compareSettings(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): void {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const other = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
  if (other.length === 0) return;
  const told = other.map(
    (name) => `${name} was ${JSON.stringify(before[name])}, is ${JSON.stringify(now[name])}`,
  );
  throw new Error(`the run to resume had other settings: ${told.join('; ')}`);
}

/** Two runs into one output would tear each other's lines. A lock of a dead process is none. */
function lock(path: string): () => void {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch {
      const owner = existsSync(path) ? Number(readFileSync(path, 'utf8')) : Number.NaN;
      if (owner > 0 && owner !== process.pid && isAlive(owner))
        throw new Error(`process ${owner} is working on this backfill (${path})`);
      rmSync(path, { force: true });
    }
  }
  throw new Error(`${path} cannot be taken`);
}

/** A file whose name is not on the disk is lost with the power, whatever it holds. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  // Some file systems know no sync of a folder.
  await folder.sync().catch(() => undefined);
  await folder.close();
}
