// What a command writes: data to standard output, line by line and no faster than it is read, and everything for the
// person at the terminal to standard error. A reader that has had enough (`| head`) ends the command quietly.

/** The two streams of a command. */
export interface Terminal {
  /** One line of data; resolves when there is room for more. */
  readonly data: (line: string) => Promise<void>;
  /** A line for people; nothing with `quiet`. */
  readonly note: (line: string) => void;
  /** A line for people whatever was asked for: why it failed. */
  readonly complain: (line: string) => void;
  /** A line that the next one replaces, on a terminal only. */
  readonly status: (line: string) => void;
  /** Whether standard error is a terminal. */
  readonly live: boolean;
}

const clearLine = '\r\u001b[K';

/** @param onReaderGone called once when nobody reads standard output any more. */
export function createTerminal(quiet: boolean, onReaderGone: () => void): Terminal {
  const stdout = process.stdout;
  const stderr = process.stderr;
  const live = stderr.isTTY === true && !quiet;
  let gone = false;
  let shown = false;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!gone) onReaderGone();
    gone = true;
  });
  stderr.on('error', () => undefined);
  const clear = (): void => {
    if (shown) stderr.write(clearLine);
    shown = false;
  };
  const say = (line: string): void => {
    clear();
    stderr.write(`${line}\n`);
  };
  return {
    live,
    data: async (line) => {
      // On one terminal the status line would stand before the data.
      if (stdout.isTTY === true) clear();
      if (!gone && !stdout.write(`${line}\n`)) await drained();
    },
    note: (line) => {
      if (!quiet) say(line);
    },
    complain: say,
    status: (line) => {
      if (!live) return;
      stderr.write(clearLine + line.slice(0, (stderr.columns ?? 80) - 1));
      shown = true;
    },
  };
}

function drained(): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const name of ['drain', 'error', 'close']) process.stdout.off(name, done);
      resolve();
    };
    for (const name of ['drain', 'error', 'close']) process.stdout.once(name, done);
  });
}
