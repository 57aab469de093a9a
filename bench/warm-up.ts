// A server runs for weeks, and most of what it costs in its first minute is code that V8 has not compiled yet: on two
// cores the same text costs 1.4 times the CPU in the first thousand requests as in the fourth. Where latencies or rates
// of one stage are the figure, the system first serves this many requests.

import type { HttpClient } from './http-client.ts';
import { performArrival } from './open-loop.ts';
import type { Arrival } from './personas.ts';
import { drain } from './stage.ts';
import type { System } from './system.ts';

export const warmUpRequests = 3000;

const inFlight = 64;

/** Sends the first `warmUpRequests` of the arrivals, 64 at a time whenever they are due, and waits until all is done. */
export async function warmUp(
  system: System,
  client: HttpClient,
  arrivals: readonly Arrival[],
): Promise<void> {
  const left = arrivals.slice(0, warmUpRequests).values();
  const lane = async (): Promise<void> => {
    for (const arrival of left) await performArrival(client, arrival, performance.now());
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  await drain(system);
}
