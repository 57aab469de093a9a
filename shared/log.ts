// One JSON line per event, with the process name in each. User text and secrets never reach a log: they are
// not passed in, and what slips through under these names is cut out.

import { type Logger, pino } from 'pino';

export type { Logger };

const redact = [
  'text',
  'texts',
  '*.text',
  '*.texts',
  'input',
  '*.input',
  '*.authorization',
  'req.headers.authorization',
];

/** @param name the process, as in the Procfile. */
export function createLog(name: string, level: string): Logger {
  return pino({
    level,
    base: { process: name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact,
  });
}
