// The most that the model could do on these cores if nothing else had to be done: the measure of the whole system.

import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';
import { readConfig } from '../shared/config.ts';

/** One run over all texts, on all cores at once. */
export interface CeilingRound {
  readonly textsPerSecond: number;
  readonly cpuMicrosecondsPerText: number;
}

export interface Ceiling {
  readonly run: () => Promise<CeilingRound>;
  readonly close: () => void;
}

const answerSchema = z.object({ wallMs: z.number(), cpuMs: z.number() });

/** Starts one process per core, pinned, each with an equal share of the texts; the models are warm when it resolves. */
export async function startCeiling(options: {
  readonly kind: string;
  readonly texts: readonly string[];
  readonly cores: readonly number[];
  /** Another graph with the same inputs and outputs instead of the one that is served. */
  readonly modelPath?: string;
}): Promise<Ceiling> {
  const { texts, cores } = options;
  const config = readConfig();
  const setup = {
    kind: options.kind,
    modelsDir: config.MODELS_DIR,
    threads: config.ORT_THREADS,
    microBatchItems: config.MICRO_BATCH_ITEMS_MAX,
    ...(options.modelPath === undefined ? {} : { modelPath: options.modelPath }),
  };
  const children = cores.map((core) => forkPinned(core, setup));
  // Dealt out in order of length, so that each process gets as many tokens as the others.
  const sorted = texts.toSorted((a, b) => a.length - b.length);
  const shares = cores.map((_, place) => sorted.filter((__, index) => index % cores.length === place));
  await Promise.all(children.map((child, index) => ask(child, { texts: shares[index] ?? [] })));
  const run = async (): Promise<CeilingRound> => {
    const answers = await Promise.all(children.map((child) => ask(child, 'run')));
    // Rates are added up: by the slower core alone, a disturbed round would make the ceiling look low.
    const rates = answers.map(({ wallMs }, index) => ((shares[index]?.length ?? 0) / wallMs) * 1000);
    const cpuMs = answers.reduce((sum, answer) => sum + answer.cpuMs, 0);
    return {
      textsPerSecond: Math.round(rates.reduce((sum, rate) => sum + rate, 0)),
      cpuMicrosecondsPerText: Math.round((cpuMs * 1000) / texts.length),
    };
  };
  await run();
  return {
    run,
    close: () => {
      for (const child of children) child.disconnect();
    },
  };
}

/** Placed like a worker, so that whatever else runs on the machine takes as much from the one as from the other. */
function forkPinned(core: number, setup: Readonly<Record<string, unknown>>): ChildProcess {
  const nice = String(readConfig().WORKER_NICE);
  return fork(join(import.meta.dirname, 'ceiling-process.js'), [JSON.stringify(setup)], {
    execPath: 'taskset',
    execArgv: ['-c', String(core), 'nice', '-n', nice, process.execPath],
    serialization: 'advanced',
  });
}

function ask(child: ChildProcess, message: object | 'run'): Promise<z.infer<typeof answerSchema>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a ceiling process ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (answer) => {
      child.off('exit', onExit);
      resolve(answerSchema.parse(answer));
    });
    child.send(message);
  });
}
