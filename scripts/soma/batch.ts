// `soma batch`: many texts at once. Lines go up and results come down as streams, so that neither has to fit anywhere.

import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { z } from 'zod';
import type { Batch, BatchResult } from '../../shared/client/contract.ts';
import { readLines } from '../../shared/client/event-stream.ts';
import { SomaError } from '../../shared/client/soma-error.ts';
import { invalidLinePolicies } from '../../shared/batch.ts';
import { priorities } from '../../shared/job.ts';
import { type Cli, collecting, exitCodes, readStdin, reading, wholeNumber } from './cli.ts';
import { showBatch } from './show-batch.ts';
import { optionPair } from './option-pair.ts';
import type { Act } from './submit.ts';

export function addBatch(program: Command, act: Act): void {
  const batch = program
    .command('batch')
    .summary('submit a file of texts, read its results')
    .description(
      'Works with up to 100,000 lines at once; for more, and for CSV and queries, see npm run backfill.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ soma batch run texts.jsonl > results.jsonl       a line is {"custom_id": "1", "text": "..."}
  $ soma batch submit - < texts.jsonl                prints the id
  $ soma batch results batch_0199... --after 4711
  $ soma batch show batch_0199...`,
    );
  for (const [name, summary] of [
    ['run', 'submit lines and print their results as they come'],
    ['submit', 'submit lines and print the id of the batch'],
  ] as const) {
    batch
      .command(name)
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .argument('<file>', 'JSON lines with custom_id and text; "-" for standard input')
      .option('-k, --kind <kind>', 'emotion, reasoning or embedding', 'emotion')
      .option('--model <model>', '<kind>@<version>')
      .option('--priority <class>', 'high, normal or low', reading(z.enum(priorities)), 'low')
      .option('-o, --option <name=value>', 'an option of the kind; may be repeated', collecting(optionPair))
      .option(
        '--on-invalid <policy>',
        'reject: a bad line stops all; skip: the others run',
        reading(z.enum(invalidLinePolicies)),
        'reject',
      )
      .option('--order <order>', 'of results: completion or input', reading(z.enum(['completion', 'input'])))
      .option('--idempotency-key <key>', 'the same key and lines give the same batch for 24 hours')
      .action(act((cli, args, options) => send(cli, args, options, name === 'run')));
  }
  batch
    .command('results')
    .description('Prints results as they are ready, until the batch has ended.')
    .argument('<batch>', 'its id')
    .option('--after <index>', 'go on behind this result', reading(wholeNumber(0, 2 ** 31 - 1)))
    .option('--order <order>', 'completion or input', reading(z.enum(['completion', 'input'])))
    .action(act(results));
  batch
    .command('show')
    .description('Prints how far batches are.')
    .argument('<batch...>', 'their ids')
    .action(act(show));
}

const sendSchema = z.object({
  kind: z.string(),
  model: z.string().optional(),
  priority: z.enum(priorities),
  option: z.array(z.tuple([z.string(), z.unknown()])).default([]),
  onInvalid: z.enum(invalidLinePolicies),
  order: z.enum(['completion', 'input']).optional(),
  idempotencyKey: z.string().optional(),
});

async function send(
  cli: Cli,
  [path = '-']: readonly string[],
  given: unknown,
  andRead: boolean,
): Promise<number> {
  const { kind, model, priority, option, onInvalid, order, idempotencyKey } = sendSchema.parse(given);
  const lines = await readBatchLines(cli, path);
  const options = {
    kind,
    priority,
    on_invalid: onInvalid,
    ...(model === undefined ? {} : { model }),
    ...(option.length === 0 ? {} : { options: Object.fromEntries(option) }),
  };
  cli.terminal.status('uploading');
  const batch = await submit();
  cli.terminal.note(`${batch.id}: ${batch.input.lines} lines, ${batch.input.invalid_lines} of them bad`);
  if (andRead) return printResults(cli, batch.id, { order });
  await cli.terminal.data(cli.json ? JSON.stringify(batch) : batch.id);
  return exitCodes.ok;

  async function submit(): Promise<Batch> {
    try {
      return await cli.client.batch.submit(lines, options, {
        signal: cli.signal,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      });
    } catch (error) {
      if (error instanceof SomaError && error.code === 'invalid_lines')
        cli.terminal.complain('Nothing was run. With --on-invalid skip the good lines run.');
      throw error;
    }
  }
}

/**
 * The lines as they stand, so that the server names every bad one at once. A file can be read again after a cut,
 * standard input cannot: it is kept.
 */
async function readBatchLines({ terminal }: Cli, path: string): Promise<() => AsyncIterable<string>> {
  if (path !== '-') {
    await access(path);
    return () => withoutMark(readLines(createReadStream(path), 'kept'));
  }
  terminal.status('reading standard input');
  const kept: string[] = [];
  for await (const line of withoutMark(readStdin())) kept.push(line);
  return async function* () {
    yield* kept;
  };
}

/** Without the byte order mark that may stand before the first line. */
async function* withoutMark(lines: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let first = true;
  for await (const line of lines) {
    yield first ? line.replace(/^\uFEFF/, '') : line;
    first = false;
  }
}

const resultsSchema = z.object({
  after: z.number().optional(),
  order: z.enum(['completion', 'input']).optional(),
});

function results(cli: Cli, [id = '']: readonly string[], given: unknown): Promise<number> {
  return printResults(cli, id, resultsSchema.parse(given));
}

async function printResults(cli: Cli, id: string, how: z.output<typeof resultsSchema>): Promise<number> {
  let count = 0;
  let failed = 0;
  for await (const result of cli.client.batch.results(id, { ...how, signal: cli.signal })) {
    count += 1;
    if (result.status !== 'succeeded') failed += 1;
    cli.terminal.status(`${count} results`);
    await cli.terminal.data(JSON.stringify(result satisfies BatchResult));
  }
  cli.terminal.note(`${id}: ${count} results, ${failed} of them failed`);
  return failed === 0 ? exitCodes.ok : exitCodes.failed;
}

async function show({ client, terminal, json, signal }: Cli, ids: readonly string[]): Promise<number> {
  for (const id of ids) {
    const batch = await client.call('GET /v1/batches/{id}', { path: { id } }, { signal });
    await terminal.data(json ? JSON.stringify(batch) : showBatch(batch));
  }
  return exitCodes.ok;
}
