// A client of batches that outlives the API: an upload that is sent again under its key until it is whole, and results
// that are read on behind the last one, whatever breaks in between.

import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

/** Where the API is now; it moves when it is started again. */
export type Address = () => string;

const batchSchema = z.object({
  id: z.string(),
  status: z.string(),
  end_reason: z.string().nullable(),
  created_at: z.string(),
  ended_at: z.string().nullable(),
  counts: z.object({ total: z.number(), succeeded: z.number(), failed: z.number() }),
});
export type Batch = z.infer<typeof batchSchema>;

const resultSchema = z.object({
  index: z.number(),
  custom_id: z.string(),
  status: z.string(),
  output: z.looseObject({}).optional(),
  job_id: z.string(),
});
export type Result = Omit<z.infer<typeof resultSchema>, 'output'>;

export interface UploadOptions {
  readonly lines: readonly string[];
  readonly query: string;
  readonly key: string;
  /** Lines a second; as fast as the API takes them if undefined. */
  readonly rate?: number;
  /** Called once the batch has a name, which with `skip` is while its lines still go out. */
  readonly onNamed?: (id: string) => void;
  readonly onSent?: (lines: number) => void;
}

/** Uploads all lines; what breaks off is sent again from the start, at full speed, under the same key. */
export async function upload(address: Address, options: UploadOptions): Promise<Batch> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await uploadOnce(
        address(),
        attempt === 0 ? options : { ...options, rate: Number.MAX_SAFE_INTEGER },
      );
    } catch (error) {
      if (attempt > 100) throw error;
      await delay(200);
    }
  }
}

const linesPerWrite = 200;

function uploadOnce(url: string, options: UploadOptions): Promise<Batch> {
  const { lines, query, key, rate = Number.MAX_SAFE_INTEGER } = options;
  return new Promise((resolve, reject) => {
    const out = request(`${url}/v1/batches?${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
    });
    out.on('error', reject).on('response', (response) => {
      const id = response.headers['batch-id'];
      if (typeof id === 'string') options.onNamed?.(id);
      text(response)
        .then((body) => {
          if (response.statusCode !== 202)
            throw new Error(`the batch was refused: ${response.statusCode} ${body}`);
          resolve(batchSchema.parse(JSON.parse(body)));
        })
        .catch(reject);
    });
    const write = async (): Promise<void> => {
      const startedMs = performance.now();
      for (let sent = 0; sent < lines.length && !out.destroyed; sent += linesPerWrite) {
        const aheadMs = (sent / rate) * 1000 - (performance.now() - startedMs);
        if (aheadMs > 1) await delay(aheadMs);
        const piece = lines.slice(sent, sent + linesPerWrite);
        if (!out.write(piece.join(''))) await Promise.race([drained(out), delay(5000)]);
        options.onSent?.(sent + piece.length);
      }
      out.end();
    };
    write().catch(reject);
  });
}

function drained(out: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      out.off('drain', done).off('close', done);
      resolve();
    };
    out.on('drain', done).on('close', done);
  });
}

/** Reads the results of a batch to its end, as they come; what breaks off goes on behind the last one. */
export async function readResults(
  address: Address,
  id: string,
  onResult: (result: Result) => void,
): Promise<void> {
  let last: number | undefined;
  for (;;) {
    try {
      const after = last === undefined ? '' : `?after=${last}`;
      const response = await fetch(`${address()}/v1/batches/${id}/results${after}`);
      if (!response.ok) throw new Error(`results: ${response.status}`);
      let held = '';
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        held += decoder.decode(chunk, { stream: true });
        const lines = held.split('\n');
        held = lines.pop() ?? '';
        for (const line of lines.filter((one) => one !== '')) {
          const { output: _, ...result } = resultSchema.parse(JSON.parse(line));
          last = result.index;
          onResult(result);
        }
      }
      return;
    } catch (error) {
      if (error instanceof z.ZodError) throw error;
      await delay(200);
    }
  }
}

/** Waits for the batch to end. */
export async function untilEnded(address: Address, id: string): Promise<Batch> {
  for (;;) {
    const batch = await fetch(`${address()}/v1/batches/${id}?wait=30`).then(
      async (response) => batchSchema.parse(await response.json()),
      () => undefined,
    );
    if (batch?.status === 'ended') return batch;
    if (batch === undefined) await delay(200);
  }
}

const jobSchema = z.object({ counts: z.object({ total: z.number() }) });

/** The items of all jobs that the results name. */
export async function countItems(address: Address, results: readonly Result[]): Promise<number> {
  let items = 0;
  for (const jobId of new Set(results.map((result) => result.job_id)))
    items += jobSchema.parse(await (await fetch(`${address()}/v1/jobs/${jobId}`)).json()).counts.total;
  return items;
}
