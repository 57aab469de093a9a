// Reads the metrics pages of the system's processes, as Prometheus would.

/** The pages of all these processes, one after the other. Reading one costs its process a millisecond or two. */
export async function readMetrics(urls: readonly string[]): Promise<string> {
  const read = async (url: string) => (await fetch(`${url}/metrics`)).text();
  return (await Promise.all(urls.map(read))).join('\n');
}

/** The sum of the samples whose line starts with `start`. */
export function sumSamples(page: string, start: string): number {
  return samples(page, start).reduce((sum, value) => sum + value, 0);
}

/** The largest of the samples whose line starts with `start`; 0 of none. */
export function largestSample(page: string, start: string): number {
  return Math.max(0, ...samples(page, start));
}

function samples(page: string, start: string): readonly number[] {
  const lines = page.split('\n').filter((line) => line.startsWith(start));
  return lines.map((line) => Number(line.slice(line.lastIndexOf(' '))));
}

/** How the texts between two readings of the workers' pages went through the model. */
export function describeBatches(before: string, after: string) {
  const grown = (start: string) => sumSamples(after, start) - sumSamples(before, start);
  const items = grown('soma_items_inferred_total{');
  const padding = grown('soma_tokens_total{') / sumReal(before, after);
  const digits = (value: number, count: number) => Number(value.toFixed(count));
  return {
    itemsPerPool: digits(items / grown('soma_pool_items_count{'), 1),
    itemsPerMicroBatch: digits(items / grown('soma_micro_batches_total{'), 2),
    paddingRatio: digits(padding, 3),
    jobsPerCommit: digits(grown('soma_jobs_finished_total{') / grown('soma_persist_seconds_count{'), 1),
  };
}

/** What became of the texts between two readings: known, waited for in the model, or run. */
export function describeCache(before: string, after: string) {
  const grown = (name: string) =>
    sumSamples(after, `soma_cache_${name}_total{`) - sumSamples(before, `soma_cache_${name}_total{`);
  return { hits: grown('hits'), coalesced: grown('coalesced'), misses: grown('misses') };
}

function sumReal(before: string, after: string): number {
  const real = (page: string) =>
    page
      .split('\n')
      .filter((line) => line.startsWith('soma_tokens_total{') && line.includes('type="real"'))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  return real(after) - real(before);
}
