// Ends the inference process when its parent is gone. A thread of its own: the main thread may hang in native code,
// where it hears neither the channel close nor a signal handler run.

import { workerData } from 'node:worker_threads';
import { z } from 'zod';

const watchMs = 500;
const parentPid = z.number().parse(workerData);

// An orphan belongs to another process from then on.
setInterval(() => {
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
}, watchMs);
