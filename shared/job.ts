// What a job is to every process: its states and the moves between them, its classes and its bounds.
// The transition table is the one truth; the SQL names the same moves and a live test walks them.

import { stringify } from 'uuid';

/** States a job can be in. The last four are terminal: nothing leaves them. */
export const jobStatuses = [
  'scheduled',
  'queued',
  'processing',
  'canceling',
  'succeeded',
  'failed',
  'canceled',
  'expired',
] as const;
export type JobStatus = (typeof jobStatuses)[number];

export const terminalStatuses = ['succeeded', 'failed', 'canceled', 'expired'] as const;
export type TerminalStatus = (typeof terminalStatuses)[number];

/** From each state, the states that may follow. A retry goes back to `queued`, or to `scheduled` while it backs off. */
export const jobTransitions: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  scheduled: ['queued', 'canceled', 'expired'],
  queued: ['processing', 'succeeded', 'canceled', 'expired'],
  processing: ['queued', 'scheduled', 'canceling', 'succeeded', 'failed', 'canceled', 'expired'],
  canceling: ['canceled'],
  succeeded: [],
  failed: [],
  canceled: [],
  expired: [],
};

export function isTerminal(status: JobStatus): status is TerminalStatus {
  return jobTransitions[status].length === 0;
}

/** Classes in the order in which they are served; the number is what the ledger stores. */
export const priorities = ['high', 'normal', 'low'] as const;

/**
 * The shares of a tenant's classes: `floor` for each waiting class but the best, which gets the rest.
 * @param waiting what waits of each class; only whether it is 0 matters
 * @param floor 0..0.33
 */
export function sharesOf(waiting: readonly number[], floor: number): number[] {
  const best = waiting.findIndex((count) => count > 0);
  const others = waiting.filter((count, index) => count > 0 && index !== best).length;
  return waiting.map((_, index) => (index === best ? 1 - others * floor : floor));
}

/** What clients may send; the HTTP contract states the same numbers. */
export const limits = {
  itemsMax: 100,
  itemCharactersMax: 10_000,
  userIdCharactersMax: 255,
  customIdCharactersMax: 64,
  metadataPairsMax: 16,
  metadataKeyCharactersMax: 64,
  metadataValueCharactersMax: 512,
  tagsMax: 10,
  tagCharactersMax: 64,
  idempotencyKeyCharactersMax: 255,
  waitSecondsMax: 60,
  pageJobsDefault: 20,
  pageJobsMax: 100,
  retentionSecondsDefault: 30 * 24 * 3600,
  retentionSecondsMax: 365 * 24 * 3600,
} as const;

/** A dispatch is at most this much work, so that one hand-over never outweighs a fair share. */
export const dispatchLimits = { jobsMax: 64, itemsMax: 128 } as const;

/** Until keys name tenants there is one, with this id. */
export const defaultTenantId = '00000000-0000-7000-8000-000000000001';

/** `job_` and a UUIDv7: sortable by time, and recognisable when ids get mixed up. */
export function formatJobId(uuid: string): string {
  return `job_${uuid}`;
}

/** What a job id looks like. */
export const jobIdPattern = /^job_([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/;

/** The UUID inside a job id, or undefined if `id` is none. */
export function parseJobId(id: string): string | undefined {
  return jobIdPattern.exec(id)?.[1];
}

/** The millisecond at which a UUIDv7 was made: its first 48 bits (RFC 9562, section 5.7). */
export function uuidTime(uuid: string): Date {
  return new Date(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16));
}

/** 22 characters for a UUID, so that a notification (at most 8,000 bytes) can name 300 jobs. */
export function packUuid(uuid: string): string {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex').toString('base64url');
}

/** @throws TypeError if `packed` is not what `packUuid` made. */
export function unpackUuid(packed: string): string {
  return stringify(Buffer.from(packed, 'base64url'));
}
