// What the routes need of the process: made once in main.ts, and with real servers in the live tests.

import type { Pool } from '../db/client.ts';
import type { GraphStore } from '../db/graph.ts';
import type { Registry } from '../models/registry.ts';
import type { Config } from '../shared/config.ts';
import type { Logger } from '../shared/log.ts';
import type { DispatchQueue } from '../shared/queues.ts';
import type { Admission } from './admission.ts';
import type { Keys } from './authenticate.ts';
import type { Forecast } from './forecast.ts';
import type { Intake } from './intake.ts';
import type { JobLoader } from './job-loader.ts';
import type { KeyUse } from './key-use.ts';
import type { Quota } from './quota.ts';
import type { JobWatcher } from './wait.ts';
import type { Webhooks } from './webhooks.ts';

export interface Context {
  readonly config: Config;
  readonly log: Logger;
  readonly registry: Registry;
  /** Sees what the system needs to see of itself, never a tenant's rows for a client. */
  readonly system: Pool;
  /** Reads as one tenant at a time, by `asTenant`. */
  readonly readers: Pool;
  /** The same for single jobs, found by their ids. */
  readonly lookups: Pool;
  /** Changes jobs for a client: cancels and erases; each statement names the tenant. */
  readonly changers: Pool;
  /** Records batches and files, whose statements may take longer; each names the tenant. */
  readonly bulk: Pool;
  readonly keys: Keys;
  readonly keyUse: KeyUse;
  readonly quota: Quota;
  readonly admission: Admission;
  readonly forecast: Forecast;
  readonly graph: GraphStore;
  readonly queue: DispatchQueue;
  readonly intake: Intake;
  readonly loader: JobLoader;
  readonly webhooks: Webhooks;
  readonly watcher: JobWatcher;
  /** Aborted when the process stops: waiting clients are answered with what there is. */
  readonly stopping: AbortSignal;
}
