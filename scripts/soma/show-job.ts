// A job in words for a terminal: what it is, and of each text the one thing that matters most in its kind.

import type { Job } from '../../shared/client/contract.ts';
import { hasEnded } from '../../shared/client/client.ts';

type Item = NonNullable<Job['result']>['items'][number];

/** The job on one line, and a line for each text once there are results. @param texts those of the job, if known */
export function showJob(job: Job, texts: readonly string[] = []): string {
  const took = job.timing_ms === null ? '' : ` in ${Math.round(job.timing_ms.total)} ms`;
  const reason = job.error?.detail ?? job.status_reason;
  const head = `${job.id}  ${job.kind}  ${job.status}${took}${reason === null ? '' : `: ${reason}`}`;
  const items = job.result?.items ?? [];
  return [head, ...items.map((item) => `  ${showItem(item, texts[item.index])}`)].join('\n');
}

/** How a job that has ended went, for the exit code. */
export function wentWell(job: Job): boolean {
  return hasEnded(job) && job.status === 'succeeded' && job.counts.failed === 0;
}

function showItem(item: Item, text: string | undefined): string {
  const label = text === undefined ? `text ${item.index + 1}` : `"${shorten(text)}"`;
  return `${label}  ${item.output === undefined ? `failed: ${item.error?.detail ?? 'unknown'}` : showOutput(item.output)}`;
}

/** The gist of an output. */
export function showOutput(output: NonNullable<Item['output']>): string {
  if ('primary_emotion' in output) {
    const others = output.emotions.filter(({ label }) => label !== output.primary_emotion);
    const rest = others.length === 0 ? '' : `, ${others.map(({ label }) => label).join(', ')}`;
    return `${output.primary_emotion}${rest}  (confidence ${output.confidence.toFixed(2)}, valence ${output.valence.toFixed(2)})`;
  }
  if ('causal_chains' in output) {
    const chains = output.causal_chains.map(({ cause, effect }) => `"${cause.text}" -> "${effect.text}"`);
    return chains.length === 0 ? 'no cause and effect' : chains.join('; ');
  }
  if ('embedding' in output) {
    const [first = 0, second = 0] = output.embedding;
    return `${output.embedding.length} numbers: ${first.toFixed(3)}, ${second.toFixed(3)}, ...`;
  }
  return JSON.stringify(output);
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= 48 ? line : `${line.slice(0, 45)}...`;
}
