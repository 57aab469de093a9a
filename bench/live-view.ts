// What the person at the terminal sees while a stage runs: one line that is written over, or, where the output is no
// terminal, a line every five seconds.

import type { LoopState } from './open-loop.ts';

const terminalMs = 500;
const plainMs = 5000;
/** Latencies of the line are of the newest answers. */
const newest = 500;

/** Shows the loop until the returned function is called. */
export function showLive(name: string, state: LoopState, total: number): () => void {
  const terminal = process.stdout.isTTY;
  const startMs = performance.now();
  let errors = 0;
  let counted = 0;
  const line = (): string => {
    for (; counted < state.samples.length; counted++)
      if (state.samples[counted]?.error !== undefined) errors += 1;
    const seconds = (performance.now() - startMs) / 1000;
    const inFlight = state.sent - state.samples.length;
    const recent = state.samples
      .slice(-newest)
      .flatMap(({ error, doneMs }) => (error === undefined ? doneMs : []));
    recent.sort((a, b) => a - b);
    const at = (share: number) => (recent[Math.floor(recent.length * share)] ?? 0).toFixed(0);
    const rate = (state.samples.length / Math.max(0.1, seconds)).toFixed(0);
    return `${name}  ${seconds.toFixed(0)} s  ${state.sent}/${total} sent  ${rate}/s  ${inFlight} in flight  p50 ${at(0.5)}  p95 ${at(0.95)} ms  ${errors} errors`;
  };
  const timer = setInterval(
    () => {
      if (terminal) process.stdout.write(`\r\u001b[2K${line()}`);
      else console.log(line());
    },
    terminal ? terminalMs : plainMs,
  );
  return () => {
    clearInterval(timer);
    if (terminal) process.stdout.write('\r\u001b[2K');
  };
}
