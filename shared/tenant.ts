// What a tenant's tier allows: requests and items in a window of time, which the API enforces, and items in flight, which
// the intake and the dispatcher do.

export const tiers = ['free', 'standard', 'premium'] as const;
export type Tier = (typeof tiers)[number];

/** So many units in a window that begins with the first of them. */
interface Allowance {
  readonly limit: number;
  readonly windowSeconds: number;
}

/** What is counted: requests as they come, items as they are submitted. */
export const allowances = ['requests', 'items'] as const;
export type AllowanceName = (typeof allowances)[number];

/** The former system had 10, 60 and 300 requests a minute. */
export const tierAllowances: Readonly<Record<Tier, Readonly<Record<AllowanceName, Allowance>>>> = {
  free: { requests: { limit: 10, windowSeconds: 60 }, items: { limit: 1000, windowSeconds: 86_400 } },
  standard: { requests: { limit: 60, windowSeconds: 60 }, items: { limit: 50_000, windowSeconds: 86_400 } },
  premium: {
    requests: { limit: 300, windowSeconds: 60 },
    items: { limit: 1_000_000, windowSeconds: 86_400 },
  },
};

/** Items in Redis or in a worker's hands at once; a tenant may have a limit of its own instead. */
export const tierItemsInFlightMax: Readonly<Record<Tier, number>> = {
  free: 128,
  standard: 512,
  premium: 8192,
};
