// `soma demo`: the system shown on a few texts of its own, so that a newcomer sees each kind at work.

import type { Command } from 'commander';
import { type Cli, exitCodes } from './cli.ts';
import { showOutput, wentWell } from './show-job.ts';
import type { Act } from './submit.ts';

const samples = [
  {
    kind: 'emotion',
    asks: 'What does it feel like?',
    texts: [
      'I finally got the job, and I cannot stop smiling!',
      'It is not fair, they never listen to a word I say!',
      'Thank you for staying up with me last night.',
      'What was that noise? I am not going down there.',
    ],
  },
  {
    kind: 'reasoning',
    asks: 'What causes what?',
    texts: [
      'I was late because the bus broke down.',
      'The flood destroyed the bridge, so the village was cut off.',
      'If I had left earlier, I would have caught the train.',
    ],
  },
  {
    kind: 'embedding',
    asks: 'Where does it lie in meaning?',
    texts: ['The dog slept in the sun.', 'A puppy was napping outside.', 'Interest rates rose again.'],
  },
] as const;

export function addDemo(program: Command, act: Act): void {
  program
    .command('demo')
    .summary('show what the system does, on texts of its own')
    .description('Submits a few texts of each kind, waits for them and shows what came back.')
    .addHelpText(
      'after',
      '\nExample:\n  $ npm start          # in one terminal\n  $ soma demo          # in another',
    )
    .action(act(demo));
}

async function demo(cli: Cli): Promise<number> {
  const { client, terminal, signal, json, url } = cli;
  terminal.note(`asking ${url}`);
  let ok = true;
  for (const { kind, asks, texts } of samples) {
    const { id } = await client.submit({ kind, input: { texts }, tags: ['demo'] }, { signal });
    terminal.status(`${id}: waiting`);
    const job = await client.wait(id, { signal, timeoutMs: 60_000 });
    ok &&= wentWell(job);
    if (json) await terminal.data(JSON.stringify(job));
    else {
      const took = job.timing_ms === null ? job.status : `${Math.round(job.timing_ms.total)} ms`;
      await terminal.data(`\n${asks}  (${kind}, ${texts.length} texts, ${took})`);
      for (const { index, output, error } of job.result?.items ?? [])
        await terminal.data(
          `  ${texts[index] ?? ''}\n      ${output === undefined ? `failed: ${error?.detail}` : showOutput(output)}`,
        );
      const vectors = (job.result?.items ?? []).flatMap(({ output }) =>
        output !== undefined && 'embedding' in output ? [output.embedding] : [],
      );
      if (vectors.length === 3) await terminal.data(showLikeness(vectors));
    }
  }
  return ok ? exitCodes.ok : exitCodes.failed;
}

/** The vectors have length 1, so that the dot product is the cosine. */
function showLikeness(vectors: readonly (readonly number[])[]): string {
  const dot = (a: number, b: number) =>
    (vectors[a] ?? []).reduce((sum, value, index) => sum + value * (vectors[b]?.[index] ?? 0), 0);
  return `      alike: 1 and 2 ${dot(0, 1).toFixed(2)}, 1 and 3 ${dot(0, 2).toFixed(2)}`;
}
