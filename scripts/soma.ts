#!/usr/bin/env node
// `soma`: the system at a terminal. Data goes to standard output, all else to standard error; the exit code is 0 when
// all went well, 1 when something failed, 2 for wrong usage, 130 after a clean stop by Ctrl-C.

import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { loadEnvFile } from './load-env-file.ts';
import { addBatch } from './soma/batch.ts';
import { type Cli, connect, exitCodes, explainFailure, globalOptionsSchema } from './soma/cli.ts';
import { addControl } from './soma/control.ts';
import { addDemo } from './soma/demo.ts';
import { addDoctor } from './soma/doctor.ts';
import { addKeys } from './soma/keys.ts';
import { type Act, addSubmit } from './soma/submit.ts';
import { onStopRequest } from './stop-requests.ts';
import { createTerminal } from './terminal.ts';

const readerGone = 'nobody reads the output any more';

async function main(): Promise<number> {
  loadEnvFile();
  const stopping = new AbortController();
  let outcome: number = exitCodes.ok;
  const program = createProgram();
  const act: Act =
    (run) =>
    async (...given) => {
      // Commander hands over the arguments one by one, then the options, then the command.
      const options: unknown = given.at(-2);
      const args = z.array(z.string()).parse(
        given
          .slice(0, -2)
          .flat()
          .filter((one) => one !== undefined),
      );
      outcome = await perform(program, stopping, (cli) => run(cli, args, options));
    };
  addSubmit(program, act);
  addBatch(program, act);
  addControl(program, act);
  addKeys(program, act);
  addDoctor(program, act);
  addDemo(program, act);
  listenForStop(stopping);
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    throw error;
  }
  return outcome;
}

function createProgram(): Command {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')));
  return new Command('soma')
    .description('Submit texts, follow jobs and look after a Soma.')
    .version(version)
    .option('--url <url>', 'address of the API; SOMA_URL, or http://127.0.0.1:3000')
    .option('--json', 'one JSON value a line, for programs')
    .option('-q, --quiet', 'nothing but data and errors')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(soma --help says more)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  $ soma doctor                                  is everything as it should be?
  $ soma demo                                    see what it does
  $ soma submit --wait "What a lovely day!"
  $ soma submit - < texts.txt | soma wait --json - > results.ndjson

SOMA_API_KEY is the key that is sent. Exit codes: 0 all went well, 1 something failed, 2 wrong usage,
130 stopped by Ctrl-C.`,
    );
}

/** Runs a subcommand with what it works with; returns the exit code, and tells the person why if it failed. */
async function perform(
  program: Command,
  stopping: AbortController,
  run: (cli: Cli) => Promise<number>,
): Promise<number> {
  const { url: given, json, quiet } = globalOptionsSchema.parse(program.opts());
  const terminal = createTerminal(quiet, () => stopping.abort(new Error(readerGone)));
  const { signal } = stopping;
  let address = given ?? '';
  try {
    const { url, client } = connect(given);
    address = url;
    return await run({ url, client, terminal, json, signal });
  } catch (error) {
    if (!signal.aborted) terminal.complain(explainFailure(error, address));
    else return isReaderGone(signal) ? exitCodes.ok : exitCodes.interrupted;
    return exitCodes.failed;
  } finally {
    terminal.status('');
  }
}

function isReaderGone({ reason }: AbortSignal): boolean {
  return reason instanceof Error && reason.message === readerGone;
}

/** The first Ctrl-C ends what runs in an orderly way, the second at once. */
function listenForStop(stopping: AbortController): void {
  onStopRequest(
    (reason) => {
      stopping.abort(new Error(reason));
      // What waits for standard input has no signal to hear.
      process.stdin.destroy();
    },
    () => process.exit(exitCodes.interrupted),
  );
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
