// How much of its quota a tenant has used. Redis counts for all API processes; while it is away each process counts on
// alone from what it last heard, so that nobody is locked out and no quota begins anew.

import { Redis } from 'ioredis';
import { z } from 'zod';
import type { Config } from '../shared/config.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { type AllowanceName, allowances, type Tier, tierAllowances } from '../shared/tenant.ts';

/** How an allowance stands after a request. */
export interface Standing {
  readonly name: AllowanceName;
  readonly limit: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  /** When the window ends and the whole allowance is there again. */
  readonly resetSeconds: number;
}

export interface Verdict {
  /** What there was too little of; undefined if the request may go on. Nothing is taken for a refused request. */
  readonly refusedBy: Standing | undefined;
  readonly standings: readonly Standing[];
}

/** What a request takes; what is less than nothing is given back, as far as it was taken in this window. */
export type Cost = Readonly<Record<AllowanceName, number>>;

export interface Quota {
  /** Takes `cost` from the tenant's allowances, all of it or nothing. Never throws: without Redis it counts alone. */
  readonly take: (tenantId: string, tier: Tier, cost: Cost) => Promise<Verdict>;
  readonly close: () => void;
}

/** After a failure Redis is left alone for this long, so that one request a second pays the timeout and not all. */
const redisPauseMs = 1000;

/** Windows that a process remembers. */
const windowsMax = 20_000;

// A window is a counter that expires. KEYS: one per allowance; ARGV: limit, window in ms and cost of each.
const takeScript = `
local used, left, cost, fits = {}, {}, {}, 1
for i, key in ipairs(KEYS) do
  used[i] = tonumber(redis.call('GET', key) or '0')
  left[i] = redis.call('PTTL', key)
  cost[i] = math.max(tonumber(ARGV[3 * i]), -used[i])
  if cost[i] > 0 and used[i] + cost[i] > tonumber(ARGV[3 * i - 2]) then fits = 0 end
end
local answer = { fits }
for i, key in ipairs(KEYS) do
  if fits == 1 and cost[i] ~= 0 then
    used[i] = redis.call('INCRBY', key, cost[i])
    if left[i] < 0 then
      redis.call('PEXPIRE', key, ARGV[3 * i - 1])
      left[i] = tonumber(ARGV[3 * i - 1])
    end
  end
  answer[2 * i] = used[i]
  answer[2 * i + 1] = left[i]
end
return answer`;

const takenSchema = z.array(z.number()).length(1 + 2 * allowances.length);

/** A window as it is known here: `used` until `endsAtMs`. */
export interface Window {
  readonly used: number;
  readonly endsAtMs: number;
}

export function createQuota(config: Config, log: Logger): Quota {
  const redis = new Redis(config.REDIS_URL, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: config.QUOTA_TIMEOUT_MS,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1000),
  });
  redis.on('error', (error) => log.debug({ err: error }, 'quota connection'));
  const windows = new Map<string, Window>();
  let pausedUntilMs = 0;

  const remember = (key: string, window: Window): void => {
    windows.delete(key);
    windows.set(key, window);
    const oldest = windows.keys().next().value;
    if (windows.size > windowsMax && oldest !== undefined) windows.delete(oldest);
  };

  const takeInRedis = async (tenantId: string, tier: Tier, cost: Cost): Promise<boolean> => {
    const keys = allowances.map((name) => `${config.QUEUE_PREFIX}:quota:${name}:${tenantId}`);
    const args = allowances.flatMap((name) => {
      const { limit, windowSeconds } = tierAllowances[tier][name];
      return [limit, windowSeconds * 1000, cost[name]];
    });
    const answer = takenSchema.parse(await redis.eval(takeScript, keys.length, ...keys, ...args));
    allowances.forEach((name, index) => {
      const [used = 0, leftMs = 0] = answer.slice(1 + 2 * index);
      remember(`${name} ${tenantId}`, { used, endsAtMs: performance.now() + Math.max(0, leftMs) });
    });
    return answer[0] === 1;
  };

  return {
    take: async (tenantId, tier, cost) => {
      const now = performance.now();
      if (redis.status === 'ready' && now >= pausedUntilMs) {
        try {
          const fits = await takeInRedis(tenantId, tier, cost);
          return judge(standingsOf(windows, tenantId, tier, performance.now()), cost, fits);
        } catch (error) {
          pausedUntilMs = performance.now() + redisPauseMs;
          log.warn({ err: error }, 'Redis does not count: this process counts alone');
        }
      }
      metrics.quotaAlone.inc();
      return takeAlone(windows, remember, { tenantId, tier, cost, nowMs: performance.now() });
    },
    close: () => redis.disconnect(),
  };
}

/** The same count as in Redis, in this process. */
export function takeAlone(
  windows: ReadonlyMap<string, Window>,
  remember: (key: string, window: Window) => void,
  ask: { readonly tenantId: string; readonly tier: Tier; readonly cost: Cost; readonly nowMs: number },
): Verdict {
  const { tenantId, tier, cost, nowMs } = ask;
  const before = standingsOf(windows, tenantId, tier, nowMs);
  const fits = before.every(({ name, remaining }) => cost[name] <= 0 || cost[name] <= remaining);
  if (!fits) return judge(before, cost, false);
  for (const { name, limit, remaining, resetSeconds } of before.filter((one) => cost[one.name] !== 0)) {
    remember(`${name} ${tenantId}`, {
      used: Math.max(0, limit - remaining + cost[name]),
      endsAtMs: nowMs + resetSeconds * 1000,
    });
  }
  return judge(standingsOf(windows, tenantId, tier, nowMs), cost, true);
}

function standingsOf(
  windows: ReadonlyMap<string, Window>,
  tenantId: string,
  tier: Tier,
  nowMs: number,
): Standing[] {
  return allowances.map((name) => {
    const { limit, windowSeconds } = tierAllowances[tier][name];
    const window = windows.get(`${name} ${tenantId}`);
    const running = window !== undefined && window.endsAtMs > nowMs;
    const remaining = running ? Math.max(0, limit - window.used) : limit;
    const resetSeconds = running ? (window.endsAtMs - nowMs) / 1000 : windowSeconds;
    return { name, limit, windowSeconds, remaining, resetSeconds };
  });
}

function judge(standings: readonly Standing[], cost: Cost, fits: boolean): Verdict {
  const short = standings.filter(({ name, remaining }) => cost[name] > remaining);
  const [longest] = short.toSorted((a, b) => b.resetSeconds - a.resetSeconds);
  return { standings, refusedBy: fits ? undefined : (longest ?? standings[0]) };
}
