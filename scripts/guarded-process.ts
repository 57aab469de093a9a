// A child process that never outlives us: the kernel signals it when we are killed, its output is kept for the
// message that explains its death, and stopping it has a limit. Every process of every launcher is started here.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { childEnv } from '../shared/config.ts';
import { findOnPath, runsHere } from './find-on-path.ts';

/** How a process ended; `text` says it in words. */
export interface Exit {
  readonly code: number;
  readonly text: string;
}

export interface GuardedProcess {
  readonly name: string;
  readonly pid: number | undefined;
  /** Never rejects; a program that could not be started exits with code 127. */
  readonly exited: Promise<Exit>;
  /** The last lines that it printed, oldest first, 30 at most. */
  readonly lastLines: () => string;
  /** Sends `signal`; after `limitMs` kills the process and its descendants. Resolves when it is gone. */
  readonly stop: (signal: NodeJS.Signals, limitMs: number) => Promise<Exit>;
}

export interface GuardedOptions {
  readonly name: string;
  readonly command: readonly string[];
  /** Added to our own environment. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** What the kernel sends it when we die without a word (kill -9); Linux only. */
  readonly deathSignal: 'INT' | 'TERM' | 'KILL';
  /**
   * Put before the guard, for programs that change the user: the kernel forgets the death signal on a change of
   * credentials, so the guard must be set after it.
   */
  readonly prefix?: readonly string[];
  /** Shares our terminal and process group, so that Ctrl-C reaches it and it may read the keyboard. */
  readonly foreground?: boolean;
  /** Written to its standard input, which is then closed; without it the input is empty. */
  readonly input?: string;
  readonly onLine?: (line: string) => void;
}

const linesKept = 30;
/** How long the output of a dead process is read on; a descendant that lives on may hold the pipe open for ever. */
const pipeMs = 500;
const running = new Set<ChildProcess>();

/** Starts `command`, in a process group of its own unless `foreground`: a Ctrl-C then reaches only the launcher. */
export function spawnGuarded(options: GuardedOptions): GuardedProcess {
  const [program, ...args] = [...(options.prefix ?? []), ...guard(options.deathSignal), ...options.command];
  if (program === undefined) throw new Error(`${options.name}: no command`);
  const foreground = options.foreground ?? false;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: childEnv(options.env ?? {}),
    detached: !foreground,
    stdio: foreground ? 'inherit' : [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(options.input);
  running.add(child);
  const lines = keepLines(child, options.onLine);
  const exited = whenExited(child).then((exit) => {
    running.delete(child);
    return exit;
  });
  return {
    name: options.name,
    pid: child.pid,
    exited,
    lastLines: () => lines.join('\n'),
    stop: (signal, limitMs) => stopChild(child, exited, signal, limitMs),
  };
}

/** A promise of `limitMs` that a forgotten timer does not keep the process alive for. */
export function limit(limitMs: number): Promise<'late'> {
  return delay(limitMs, 'late', { ref: false });
}

// On systems without setpriv (macOS), this covers every end of ours but kill -9.
process.once('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});

let pdeathsigWorks: boolean | undefined;

function guard(signal: string): readonly string[] {
  pdeathsigWorks ??=
    findOnPath('setpriv') !== undefined && runsHere(['setpriv', '--pdeathsig', 'TERM', 'true']);
  return pdeathsigWorks ? ['setpriv', '--pdeathsig', signal] : [];
}

function keepLines(child: ChildProcess, onLine: ((line: string) => void) | undefined): readonly string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > linesKept) lines.shift();
      onLine?.(line);
    });
  }
  return lines;
}

function whenExited(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, text: error.message }));
    child.once('exit', (code, signal) => {
      const exit =
        signal === null
          ? { code: code ?? 1, text: `exit code ${code}` }
          : { code: 1, text: `killed by ${signal}` };
      child.once('close', () => resolve(exit));
      setTimeout(() => resolve(exit), pipeMs).unref();
    });
  });
}

async function stopChild(
  child: ChildProcess,
  exited: Promise<Exit>,
  signal: NodeJS.Signals,
  limitMs: number,
): Promise<Exit> {
  child.kill(signal);
  if ((await Promise.race([exited, limit(limitMs)])) === 'late') signalGroup(child, 'SIGKILL');
  return exited;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}
