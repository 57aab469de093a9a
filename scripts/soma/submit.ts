// `soma submit` and `soma wait`: texts in, job ids or results out.

import type { Command } from 'commander';
import { z } from 'zod';
import type { Job, JobRequest } from '../../shared/client/contract.ts';
import { limits } from '../../shared/job.ts';
import { type Cli, collecting, exitCodes, readArguments, reading, wholeNumber } from './cli.ts';
import { showBatch } from './show-batch.ts';
import { optionPair } from './option-pair.ts';
import { showJob, wentWell } from './show-job.ts';

export type Act = (
  run: (cli: Cli, args: readonly string[], options: unknown) => Promise<number>,
) => (...given: readonly unknown[]) => Promise<void>;

const kindSchema = z.enum(['emotion', 'reasoning', 'embedding', 'profile']);

const optionsSchema = z.object({
  kind: kindSchema,
  userId: z.string().optional(),
  customId: z.string().optional(),
  tag: z.array(z.string()).optional(),
  model: z.string().optional(),
  priority: z.enum(['high', 'normal', 'low']).optional(),
  notBefore: z.string().optional(),
  deadline: z.string().optional(),
  option: z.array(z.tuple([z.string(), z.unknown()])).default([]),
  idempotencyKey: z.string().optional(),
  store: z.boolean().default(true),
  wait: z.boolean().default(false),
});
type SubmitOptions = z.output<typeof optionsSchema>;

export function addSubmit(program: Command, act: Act): void {
  program
    .command('submit')
    .summary('submit texts; prints the id of each job')
    .description(
      `Submits texts as jobs of up to ${limits.itemsMax} and prints their ids, or with --wait their results. "-" reads texts from standard input, one a line.`,
    )
    .argument('[text...]', 'the texts; "-" for standard input')
    .option(
      '-k, --kind <kind>',
      'what is done: emotion, reasoning, embedding, profile',
      reading(kindSchema),
      'emotion',
    )
    .option('-w, --wait', 'wait for the results')
    .option('-u, --user-id <id>', 'whose texts these are')
    .option('--custom-id <id>', 'your own label')
    .option('--tag <tag>', 'label to find it by; may be repeated', collecting(z.string()))
    .option('--model <model>', '<kind>@<version>')
    .option('--priority <class>', 'high, normal or low', reading(z.enum(['high', 'normal', 'low'])))
    .option('--not-before <time>', 'runs no earlier, e.g. 2030-01-01T09:00:00Z')
    .option('--deadline <time>', 'expires if it has not started by then')
    .option('-o, --option <name=value>', 'an option of the kind; may be repeated', collecting(optionPair))
    .option('--idempotency-key <key>', 'the same key and texts give the same job for 24 hours')
    .option('--no-store', 'erase the texts when the job ends')
    .addHelpText(
      'after',
      `
Examples:
  $ soma submit --wait "I finally got the job!"
  $ soma submit --kind reasoning --wait "I was late because the bus broke down."
  $ soma submit - < texts.txt | soma wait --json -
  $ soma submit -o granularity=sentence --wait "I was sad. Now I am happy."`,
    )
    .action(act(submit));
  program
    .command('wait')
    .summary('wait for jobs or batches and print them')
    .description('Waits until each job or batch has ended and prints it. Fails if one did not succeed.')
    .argument('<job...>', 'ids of jobs or batches; "-" for standard input')
    .option('-t, --timeout <seconds>', 'give up after so long', reading(wholeNumber(1, 864_000)))
    .addHelpText(
      'after',
      `
Examples:
  $ soma wait job_0199... job_0199...
  $ soma submit - < texts.txt | soma wait --json - | jq -c .result`,
    )
    .action(act(wait));
}

async function submit(cli: Cli, args: readonly string[], given: unknown): Promise<number> {
  const options = optionsSchema.parse(given);
  const texts = await readArguments(args);
  if (texts.length === 0 && options.kind !== 'profile') {
    cli.terminal.complain('soma: nothing to submit: give texts, or "-" to read them from standard input');
    return exitCodes.usage;
  }
  const groups = texts.length === 0 ? [[]] : cut(texts, limits.itemsMax);
  let ok = true;
  for (const [index, group] of groups.entries()) {
    const key = options.idempotencyKey;
    const job = await cli.client.submit(toRequest(options, group), {
      signal: cli.signal,
      ...(key === undefined ? {} : { idempotencyKey: groups.length === 1 ? key : `${key}/${index}` }),
      ...(options.wait ? { waitSeconds: 30 } : {}),
    });
    const ended = options.wait ? await cli.client.wait(job.id, { signal: cli.signal }) : job;
    ok &&= !options.wait || wentWell(ended);
    if (options.wait) await printJob(cli, ended, group);
    else await cli.terminal.data(cli.json ? JSON.stringify(ended) : ended.id);
  }
  return ok ? exitCodes.ok : exitCodes.failed;
}

/** Which options a kind has is the server's to know: it names what is wrong with them. */
const requestSchema = z.custom<JobRequest>((value) => typeof value === 'object' && value !== null);

function toRequest(options: SubmitOptions, texts: readonly string[]): JobRequest {
  const { userId, customId, tag, model, priority, notBefore, deadline } = options;
  return requestSchema.parse({
    kind: options.kind,
    ...(texts.length === 0 ? {} : { input: { texts } }),
    ...(userId === undefined ? {} : { user_id: userId }),
    ...(customId === undefined ? {} : { custom_id: customId }),
    ...(tag === undefined ? {} : { tags: tag }),
    ...(model === undefined ? {} : { model }),
    ...(priority === undefined ? {} : { priority }),
    ...(notBefore === undefined ? {} : { not_before: notBefore }),
    ...(deadline === undefined ? {} : { deadline_at: deadline }),
    ...(options.option.length === 0 ? {} : { options: Object.fromEntries(options.option) }),
    ...(options.store ? {} : { store_input: false }),
  });
}

const waitOptionsSchema = z.object({ timeout: z.number().optional() });

async function wait(cli: Cli, args: readonly string[], given: unknown): Promise<number> {
  const { timeout } = waitOptionsSchema.parse(given);
  const ids = await readArguments(args);
  const deadline = performance.now() + (timeout ?? Number.POSITIVE_INFINITY) * 1000;
  let ok = true;
  for (const [index, id] of ids.entries()) {
    cli.terminal.status(`waiting for ${id} (${index + 1} of ${ids.length})`);
    const left = deadline - performance.now();
    const how = { signal: cli.signal, ...(timeout === undefined ? {} : { timeoutMs: Math.max(0, left) }) };
    if (id.startsWith('batch_')) {
      const batch = await cli.client.batch.wait(id, how);
      ok &&= batch.end_reason === 'completed' && batch.counts.failed === 0;
      await cli.terminal.data(cli.json ? JSON.stringify(batch) : showBatch(batch));
      continue;
    }
    const job = await cli.client.wait(id, how);
    ok &&= wentWell(job);
    await printJob(cli, job);
  }
  return ok ? exitCodes.ok : exitCodes.failed;
}

function printJob(cli: Cli, job: Job, texts: readonly string[] = []): Promise<void> {
  return cli.terminal.data(cli.json ? JSON.stringify(job) : showJob(job, texts));
}

function cut<T>(values: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, index) =>
    values.slice(index * size, (index + 1) * size),
  );
}
