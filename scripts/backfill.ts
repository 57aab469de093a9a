// `npm run backfill`: a million texts without a worry. Rows from a file, standard input or a query go through the API
// as batches behind live traffic, and their results into a file or a table, each once, however often the run is killed.

import { Command, CommanderError } from 'commander';
import { z } from 'zod';
import { tableName } from '../db/result-table.ts';
import type { BatchOptions } from '../shared/client/batch.ts';
import { batchLimits } from '../shared/batch.ts';
import { priorities } from '../shared/job.ts';
import { type Ledger, openLedger } from './backfill/ledger.ts';
import { createProgress } from './backfill/progress.ts';
import { readFile, readQuery } from './backfill/read-input.ts';
import { type Input, toChunks } from './backfill/row.ts';
import { runChunks } from './backfill/run-chunks.ts';
import { openFileSink, openTableSink, type Sink } from './backfill/sink.ts';
import { loadEnvFile } from './load-env-file.ts';
import { readOperatorConfig } from './operator-config.ts';
import { collecting, connect, exitCodes, explainFailure, reading, wholeNumber } from './soma/cli.ts';
import { optionPair } from './soma/option-pair.ts';
import { onStopRequest } from './stop-requests.ts';
import { createTerminal, type Terminal } from './terminal.ts';

const chunkRowsDefault = 2000;
/** A chunk is uploaded whole, and its results are held until all are there: an embedding has some 8 kB. */
const chunkRowsMax = Math.min(20_000, batchLimits.linesMax);
const sampleRows = 3;

const optionsSchema = z.object({
  query: z.string().optional(),
  format: z.enum(['jsonl', 'csv']).optional(),
  output: z.string().optional(),
  table: tableName.optional(),
  database: z.string().optional(),
  text: z.string(),
  id: z.string(),
  user: z.string(),
  kind: z.string(),
  model: z.string().optional(),
  option: z.array(z.tuple([z.string(), z.unknown()])).default([]),
  priority: z.enum(priorities),
  store: z.boolean(),
  chunk: z.number(),
  inFlight: z.number(),
  maxRate: z.number().optional(),
  limit: z.number().optional(),
  resume: z.boolean().default(false),
  dryRun: z.boolean().default(false),
  url: z.string().optional(),
  json: z.boolean().default(false),
  quiet: z.boolean().default(false),
});
type Options = z.output<typeof optionsSchema>;

function createProgram(): Command {
  return new Command('backfill')
    .description(
      'Analyses the rows of a file, of standard input ("-") or of a query, and writes a result for every row.',
    )
    .argument('[input]', 'a file of JSON lines or CSV, also .gz; "-" for standard input')
    .option('--query <sql>', 'rows of this SELECT instead of a file; give it an ORDER BY')
    .option(
      '--format <format>',
      'jsonl or csv, where the name does not say',
      reading(z.enum(['jsonl', 'csv'])),
    )
    .option('-o, --output <file>', 'results as JSON lines; <file>.ledger says how far it is')
    .option('--table <name>', 'results into this table instead', reading(tableName))
    .option('--database <url>', 'Postgres of --query and --table; DATABASE_URL if left out')
    .option('--text <field>', 'field of the text', 'text')
    .option('--id <field>', 'field that names the row in the results; its number if it has none', 'id')
    .option('--user <field>', 'field that says whose text it is', 'user_id')
    .option('-k, --kind <kind>', 'emotion, reasoning or embedding', 'emotion')
    .option('--model <model>', '<kind>@<version>')
    .option('--option <name=value>', 'an option of the kind; may be repeated', collecting(optionPair))
    .option('--priority <class>', 'high, normal or low', reading(z.enum(priorities)), 'low')
    .option('--no-store', 'erase the texts when they are analysed')
    .option(
      '--chunk <rows>',
      'rows that travel together',
      reading(wholeNumber(1, chunkRowsMax)),
      chunkRowsDefault,
    )
    .option('--in-flight <chunks>', 'chunks on their way at the same time', reading(wholeNumber(1, 16)), 2)
    .option('--max-rate <rows per second>', 'no faster than this', reading(z.coerce.number().positive()))
    .option('--limit <rows>', 'only the first so many', reading(wholeNumber(1, Number.MAX_SAFE_INTEGER)))
    .option('--resume', 'go on with a run that was stopped or killed; begin, if there is none')
    .option('--dry-run', 'read the input and show what would be sent; writes and sends nothing')
    .option('--url <url>', 'address of the API; SOMA_URL, or http://127.0.0.1:3000')
    .option('--json', 'end with one JSON object on standard output')
    .option('-q, --quiet', 'nothing but errors')
    .showHelpAfterError('(--help says more)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  $ npm run --silent backfill -- texts.jsonl --output results.jsonl --resume
  $ zcat old.csv.gz | npm run --silent backfill -- - --format csv --text body -o results.jsonl
  $ npm run --silent backfill -- --query "SELECT id, body AS text FROM posts ORDER BY id" --table post_emotions

Exit codes: 0 every row has its result (also the failed ones), 1 it broke off, 2 wrong usage, 130 stopped by Ctrl-C.
Whatever broke it off, the same command with --resume goes on.`,
    );
}

async function main(): Promise<number> {
  loadEnvFile();
  const program = createProgram();
  const stopping = new AbortController();
  onStopRequest(
    (reason) => {
      stopping.abort(new Error(reason));
      process.stdin.destroy();
    },
    () => process.exit(exitCodes.interrupted),
  );
  let options: Options;
  try {
    await program.parseAsync();
    options = optionsSchema.parse(program.opts());
    refuseContradictions(program.args, options);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    throw error;
  }
  const terminal = createTerminal(options.quiet, () => stopping.abort(new Error('nobody reads')));
  try {
    const input = openInput(program.args[0], options);
    if (options.dryRun) return await rehearse(input, options, terminal);
    return await backfill(input, options, terminal, stopping.signal);
  } catch (error) {
    if (stopping.signal.aborted) {
      terminal.complain('backfill: stopped; the same command with --resume goes on');
      return exitCodes.interrupted;
    }
    terminal.complain(explainFailure(error, options.url ?? '').replace(/^soma:/, 'backfill:'));
    return exitCodes.failed;
  }

  function refuseContradictions(
    [path, ...more]: readonly string[],
    { query, output, table, dryRun }: Options,
  ) {
    const fault = (message: string) => program.error(`error: ${message}`);
    if (more.length > 0) fault('one input at a time');
    if ((path === undefined) === (query === undefined)) fault('name either an input or a --query');
    if (!dryRun && (output === undefined) === (table === undefined))
      fault('name either an --output or a --table');
  }
}

function openInput(path: string | undefined, options: Options): Input {
  const { query, format, limit, text, id, user } = options;
  const fields = { text, id, user };
  const isCsv = format === 'csv' || (format === undefined && /\.csv(\.gz)?$/.test(path ?? ''));
  const input =
    query === undefined
      ? readFile(path ?? '-', isCsv ? 'csv' : 'jsonl', fields)
      : readQuery(databaseOf(options), query, fields);
  return limit === undefined ? input : { ...input, rows: take(input.rows, limit) };
}

async function* take<T>(values: AsyncIterable<T>, count: number): AsyncGenerator<T, void, undefined> {
  let taken = 0;
  for await (const value of values) {
    yield value;
    taken += 1;
    if (taken === count) return;
  }
}

function databaseOf({ database }: Options): string {
  return database ?? readOperatorConfig().DATABASE_URL;
}

async function backfill(
  input: Input,
  options: Options,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const { url, client } = connect(options.url);
  // A wrong address or key shall be told now; later a server that is away is waited for.
  await client.call('GET /v1/batches', { query: { limit: 1 } }, { signal });
  const place = options.output ?? options.table ?? '';
  const ledger = await openLedger({
    path: options.output === undefined ? `${place}.backfill.ledger` : `${place}.ledger`,
    resume: options.resume,
    settings: settingsOf(options),
  });
  const sink = await openSink(options, ledger);
  const progress = createProgress(terminal, () => performance.now());
  try {
    if (ledger.done.length > 0) terminal.note(`backfill: ${ledger.done.length} chunks are done; going on`);
    else terminal.note(`backfill: to ${url}, results to ${place}`);
    await runChunks(toChunks(input, options.chunk), {
      client,
      ledger,
      sink,
      options: toBatchOptions(options),
      inFlightMax: options.inFlight,
      maxRate: options.maxRate,
      signal,
      onDone: (chunk, failed, earlier) => progress.add(chunk.rows.length, failed, chunk.share, earlier),
      onWait: progress.wait,
    });
    await ledger.noteEnd();
  } finally {
    progress.close();
    await sink.close();
    await ledger.close();
  }
  const totals = progress.totals();
  terminal.note(`backfill: done, ${totals.rows} rows, ${totals.failed} of them failed`);
  if (options.json) await terminal.data(JSON.stringify({ ...totals, run_id: ledger.runId, results: place }));
  return exitCodes.ok;
}

async function openSink(options: Options, ledger: Ledger): Promise<Sink> {
  try {
    const bytes = ledger.done.at(-1)?.output_bytes ?? 0;
    if (options.output !== undefined) return await openFileSink(options.output, bytes, options.resume);
    return await openTableSink(databaseOf(options), options.table ?? '', ledger.runId);
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

/** What must stay the same over the whole run: how rows are read and cut, and what is done to them. */
function settingsOf(options: Options): Readonly<Record<string, unknown>> {
  const { query, text, id, user, kind, model, option, store, chunk, limit } = options;
  return {
    query: query ?? null,
    text,
    id,
    user,
    kind,
    model: model ?? null,
    option,
    store,
    chunk,
    limit: limit ?? null,
  };
}

function toBatchOptions({ kind, model, option, priority, store }: Options): BatchOptions {
  return {
    kind,
    on_invalid: 'skip',
    priority,
    ...(model === undefined ? {} : { model }),
    ...(option.length === 0 ? {} : { options: Object.fromEntries(option) }),
    ...(store ? {} : { store_input: false }),
  };
}

async function rehearse(input: Input, options: Options, terminal: Terminal): Promise<number> {
  let rows = 0;
  let bad = 0;
  let chunks = 0;
  for await (const chunk of toChunks(input, options.chunk)) {
    for (const row of chunk.rows) {
      if (row.row <= sampleRows) await terminal.data(JSON.stringify(row));
      if (row.fault !== undefined) bad += 1;
    }
    rows += chunk.rows.length;
    chunks += 1;
  }
  terminal.note(
    `backfill: ${rows} rows in ${chunks} chunks, ${bad} of them without a text; nothing was sent`,
  );
  return exitCodes.ok;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = exitCodes.failed;
  },
);
