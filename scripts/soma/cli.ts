// What every subcommand of `soma` has in common: its client, its terminal, the signal that ends it, and how an
// option that came as text is read. The exit codes are named here.

import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { createClient, type SomaClient } from '../../shared/client/client.ts';
import { SomaError } from '../../shared/client/soma-error.ts';
import { readClientConfig } from '../../shared/config.ts';
import { describeError } from '../describe-error.ts';
import type { Terminal } from '../terminal.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** What a subcommand works with. */
export interface Cli {
  readonly url: string;
  readonly client: SomaClient;
  readonly terminal: Terminal;
  /** Machine-readable output: one JSON value a line. */
  readonly json: boolean;
  /** Aborted by Ctrl-C, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/** Options before any subcommand's own. */
export const globalOptionsSchema = z.object({
  url: z.string().optional(),
  json: z.boolean().default(false),
  quiet: z.boolean().default(false),
});

/** The client of SOMA_URL, or of `--url`, with the key of SOMA_API_KEY. */
export function connect(url: string | undefined): { readonly url: string; readonly client: SomaClient } {
  const config = readClientConfig();
  const address = url ?? config.SOMA_URL;
  return { url: address, client: createClient({ url: address, apiKey: config.SOMA_API_KEY }) };
}

/** For commander: reads an argument's text with a schema, and says what is wrong with it as a usage error. */
export function reading<Schema extends z.ZodType>(schema: Schema) {
  return (text: string): z.output<Schema> => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(parsed.error.issues.map(({ message }) => message).join('; '));
  };
}

/** For options that may be given several times. */
export function collecting<Schema extends z.ZodType>(schema: Schema) {
  const read = reading(schema);
  return (text: string, before: readonly z.output<Schema>[] = []): readonly z.output<Schema>[] => [
    ...before,
    read(text),
  ];
}

export const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** What went wrong and, where that is known, what to do about it. */
export function explainFailure(error: unknown, url: string): string {
  if (!(error instanceof SomaError)) return `soma: ${describeError(error)}`;
  const faults = error.errors.map((fault) => {
    const line = fault.line === undefined ? '' : `line ${fault.line} `;
    return `  ${line}${fault.pointer === '' ? '/' : fault.pointer}: ${fault.detail}`;
  });
  const remedy = remedyFor(error, url);
  return [
    `soma: ${error.message} (${error.code})`,
    ...faults,
    ...(remedy === undefined ? [] : [remedy]),
  ].join('\n');
}

function remedyFor({ code, retryAfterMs, requestId }: SomaError, url: string): string | undefined {
  if (code === 'connection_failed')
    return `Is it running? Start it with \`npm start\`, or name another with --url or SOMA_URL (now ${url}).`;
  if (code === 'unauthenticated' || code === 'invalid_key')
    return 'Put a key into SOMA_API_KEY; `soma keys create --tenant <name> --scopes jobs:write,jobs:read` makes one.';
  if (code === 'insufficient_scope') return 'Make a key with that scope: `soma keys create --help`.';
  if (retryAfterMs !== undefined && retryAfterMs > 0)
    return `The server asks to come back in ${Math.ceil(retryAfterMs / 1000)} s.`;
  return code === 'internal_error'
    ? `The server's log has it as request ${requestId ?? 'unknown'}.`
    : undefined;
}

/** The lines of standard input, without their ends. */
export async function* readStdin(): AsyncGenerator<string, void, undefined> {
  let rest = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) {
    rest += String(chunk);
    const lines = rest.split(/\r?\n/);
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** The arguments, with `-` replaced by the lines of standard input that are not blank. */
export async function readArguments(given: readonly string[]): Promise<readonly string[]> {
  const read: string[] = [];
  for (const argument of given) {
    if (argument !== '-') read.push(argument);
    else for await (const line of readStdin()) if (line.trim() !== '') read.push(line);
  }
  return read;
}
