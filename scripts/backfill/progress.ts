// How far a backfill is: a bar on a terminal, a line each 5 seconds in a log.

import type { Terminal } from '../terminal.ts';

export interface Progress {
  /** Rows are in the output. @param share of the whole input, where that is known */
  readonly add: (rows: number, failed: number, share: number | undefined, earlier: boolean) => void;
  /** Why nothing moves. */
  readonly wait: (reason: string) => void;
  readonly totals: () => { readonly rows: number; readonly failed: number };
  readonly close: () => void;
}

const barMs = 200;
const logMs = 5000;
const barCells = 24;

/** @param now milliseconds of a clock that only goes forward */
export function createProgress(terminal: Terminal, now: () => number): Progress {
  const startedAt = now();
  let state = { rows: 0, failed: 0, earlier: 0, share: 0, firstShare: 0, known: false };
  let reason: string | undefined;
  const show = (): void => {
    const line = describeProgress(state, (now() - startedAt) / 1000, terminal.live);
    const text = reason === undefined ? line : `${line}  waiting: ${reason}`;
    if (terminal.live) terminal.status(text);
    else terminal.note(`backfill: ${text}`);
  };
  const timer = setInterval(show, terminal.live ? barMs : logMs);
  timer.unref();
  return {
    add: (rows, failed, share, earlier) => {
      reason = undefined;
      state = {
        rows: state.rows + rows,
        failed: state.failed + failed,
        earlier: state.earlier + (earlier ? rows : 0),
        share: share ?? state.share,
        firstShare: earlier ? (share ?? 0) : state.firstShare,
        known: share !== undefined,
      };
    },
    wait: (why) => {
      reason = why;
    },
    totals: () => ({ rows: state.rows, failed: state.failed }),
    close: () => {
      clearInterval(timer);
      terminal.status('');
    },
  };
}

/** What is told of a run that has lasted `seconds`; rate and ETA are of this run, not of those before it. */
export function describeProgress(
  state: {
    readonly rows: number;
    readonly failed: number;
    /** Rows that an earlier run has done. */
    readonly earlier: number;
    readonly share: number;
    /** Of the input, done by earlier runs. */
    readonly firstShare: number;
    readonly known: boolean;
  },
  seconds: number,
  bar: boolean,
): string {
  const rate = (state.rows - state.earlier) / Math.max(seconds, 0.001);
  const gained = state.share - state.firstShare;
  const eta = gained > 0 ? (seconds / gained) * (1 - state.share) : undefined;
  const filled = Math.round(state.share * barCells);
  return [
    ...(bar && state.known ? [`[${'#'.repeat(filled)}${'-'.repeat(barCells - filled)}]`] : []),
    ...(state.known ? [`${Math.floor(state.share * 100)} %`] : []),
    `${state.rows.toLocaleString('en')} rows`,
    `${rate.toFixed(0)} rows/s`,
    ...(state.failed > 0 ? [`${state.failed.toLocaleString('en')} failed`] : []),
    ...(state.known && eta !== undefined ? [`ETA ${describeSeconds(eta)}`] : []),
  ].join('  ');
}

export function describeSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
