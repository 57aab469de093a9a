// `soma tail`, `soma cancel` and `soma replay`: what happens to jobs that are there already.

import type { Command } from 'commander';
import { z } from 'zod';
import type { CallAnswer } from '../../shared/client/call.ts';
import { SomaError } from '../../shared/client/soma-error.ts';
import { pause } from '../../shared/client/transport.ts';
import { type Cli, exitCodes, readArguments, reading, wholeNumber } from './cli.ts';
import type { Act } from './submit.ts';

const ended = z.enum(['succeeded', 'failed', 'canceled', 'expired']);
/** How often a tail without an id looks for new jobs. */
const listPauseMs = 1000;
const pageMax = 100;

export function addControl(program: Command, act: Act): void {
  program
    .command('tail')
    .summary('follow a job or a batch, or all new jobs')
    .description(
      'Prints each event of a job or batch until its last; without one, each new job as it comes in.',
    )
    .argument('[job]', 'id of a job or batch')
    .option('--after <sequence>', 'go on behind this event', reading(wholeNumber(0, 2 ** 31 - 1)))
    .addHelpText('after', '\nExamples:\n  $ soma tail job_0199...\n  $ soma tail --json | jq .id')
    .action(act(tail));
  program
    .command('cancel')
    .summary('cancel jobs or batches')
    .description(
      'Cancels jobs and batches; one that has ended already stays as it is and counts as a failure.',
    )
    .argument('<job...>', 'ids; "-" for standard input')
    .addHelpText('after', '\nExample:\n  $ soma cancel job_0199...')
    .action(act(cancel));
  program
    .command('replay')
    .summary('run ended jobs again, as new jobs')
    .description(
      'Runs jobs again, those named or all that a filter finds. Repeated within 24 hours the same replay gives the same new job, so it is safe to start over; --again makes another.',
    )
    .argument('[job...]', 'ids; "-" for standard input; without any, those that the filter finds')
    .option('--status <status>', 'those that ended so', reading(ended), 'failed')
    .option('--kind <kind>', 'those of a kind')
    .option('--tag <tag>', 'those with a tag')
    .option('--since <time>', 'submitted then or later, e.g. 2026-11-24T00:00:00Z')
    .option('--limit <count>', 'at most so many', reading(wholeNumber(1, 1_000_000)), 1000)
    .option('--max-rate <per second>', 'no faster than this', reading(z.coerce.number().positive()))
    .option('--dry-run', 'print what would be run again')
    .option('--again', 'also what was replayed before')
    .addHelpText(
      'after',
      '\nExamples:\n  $ soma replay --status failed --since 2026-11-24T00:00:00Z --dry-run\n  $ soma replay job_0199...',
    )
    .action(act(replay));
}

async function tail(cli: Cli, args: readonly string[], given: unknown): Promise<number> {
  const { after = 0 } = z.object({ after: z.number().optional() }).parse(given);
  const [id] = args;
  if (id === undefined) return tailAll(cli);
  const { stream } = id.startsWith('batch_') ? cli.client.batch : cli.client;
  for await (const event of stream(id, { after, signal: cli.signal })) {
    const words = `${event.at}  ${id}  ${event.type}  ${JSON.stringify(event.data)}`;
    await cli.terminal.data(cli.json ? JSON.stringify(event) : words);
  }
  return exitCodes.ok;
}

/** The list is asked for what is newer than its newest: cheap, and nothing is missed however many come. */
async function tailAll({ client, terminal, json, signal }: Cli): Promise<number> {
  const newest = await client.call('GET /v1/jobs', { query: { limit: 1 } }, { signal });
  let place = newest.first_id;
  terminal.note('waiting for new jobs; Ctrl-C ends');
  for (;;) {
    const query = place === null ? { limit: pageMax } : { limit: pageMax, before: place };
    const page = await client.call('GET /v1/jobs', { query }, { signal });
    for (const job of page.data.toReversed())
      await terminal.data(
        json
          ? JSON.stringify(job)
          : `${job.created_at}  ${job.id}  ${job.kind}  ${job.status}  ${job.counts.total} texts`,
      );
    place = page.first_id ?? place;
    if (page.data.length < pageMax) await pause(listPauseMs, signal);
  }
}

async function cancel(cli: Cli, args: readonly string[]): Promise<number> {
  const ids = await readArguments(args);
  let ok = true;
  for (const id of ids) {
    try {
      const { cancel: stop } = id.startsWith('batch_') ? cli.client.batch : cli.client;
      const answer = await stop(id, { signal: cli.signal });
      await cli.terminal.data(cli.json ? JSON.stringify(answer) : `${answer.id}  ${answer.status}`);
    } catch (error) {
      if (!(error instanceof SomaError) || error.status === undefined || error.status >= 500) throw error;
      // One that cannot be canceled must not keep the others from it.
      cli.terminal.complain(`soma: ${id}: ${error.message} (${error.code})`);
      ok = false;
    }
  }
  return ok ? exitCodes.ok : exitCodes.failed;
}

const replayOptionsSchema = z.object({
  status: ended,
  kind: z.string().optional(),
  tag: z.string().optional(),
  since: z.string().optional(),
  limit: z.number(),
  maxRate: z.number().optional(),
  dryRun: z.boolean().default(false),
  again: z.boolean().default(false),
});
type ReplayOptions = z.output<typeof replayOptionsSchema>;

async function replay(cli: Cli, args: readonly string[], given: unknown): Promise<number> {
  const options = replayOptionsSchema.parse(given);
  const { client, terminal, signal, json } = cli;
  const named = await readArguments(args);
  // Listed before the first is run again: a replay that fails must not be found by its own filter.
  const ids = args.length > 0 ? named.slice(0, options.limit) : await findJobs(cli, options);
  const pauseMs = options.maxRate === undefined ? 0 : 1000 / options.maxRate;
  let ok = true;
  for (const [index, id] of ids.entries()) {
    terminal.status(`replaying ${index + 1} of ${ids.length}`);
    if (options.dryRun) {
      await terminal.data(json ? JSON.stringify({ job_id: id }) : id);
      continue;
    }
    const header = { 'Idempotency-Key': options.again ? crypto.randomUUID() : `replay/${id}` };
    try {
      const job = await client.call('POST /v1/jobs/{id}/retry', { path: { id }, header }, { signal });
      await terminal.data(json ? JSON.stringify(job) : `${id}  ${job.id}`);
    } catch (error) {
      if (!(error instanceof SomaError) || ![404, 409].includes(error.status ?? 0)) throw error;
      terminal.complain(`soma: ${id}: ${error.message} (${error.code})`);
      ok = false;
    }
    if (index + 1 < ids.length) await pause(pauseMs, signal);
  }
  terminal.note(
    options.dryRun
      ? `${ids.length} jobs would be run again; nothing was done`
      : `${ids.length} jobs went through`,
  );
  return ok ? exitCodes.ok : exitCodes.failed;
}

async function findJobs({ client, signal }: Cli, options: ReplayOptions): Promise<readonly string[]> {
  const { status, kind, tag, since, limit } = options;
  const filter = {
    status,
    ...(kind === undefined ? {} : { kind }),
    ...(tag === undefined ? {} : { tag }),
    ...(since === undefined ? {} : { created_after: since }),
  };
  const ids: string[] = [];
  for (let after: string | null = null; ; ) {
    const query = { ...filter, limit: Math.min(pageMax, limit), ...(after === null ? {} : { after }) };
    const page: CallAnswer<'GET /v1/jobs'> = await client.call('GET /v1/jobs', { query }, { signal });
    ids.push(...page.data.map(({ id }) => id));
    after = page.last_id;
    if (!page.has_more || ids.length >= limit) return ids.slice(0, limit);
  }
}
