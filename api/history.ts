// A person's emotions over time, as both the current and the former routes show them.

import { z } from 'zod';
import { asTenant } from '../db/client.ts';
import { wantsAnomalyFlags } from '../db/tenant-settings.ts';
import { type HistoryRange, listEmotions, listHistory, type PersonName } from '../db/users.ts';
import { anomalySchema, findAnomaly } from '../models/analytics/anomaly.ts';
import { type EmotionPoint, type Trajectory, trajectoryOf } from '../models/analytics/trajectory.ts';
import { formatJobId, uuidTime } from '../shared/job.ts';
import type { Context } from './context.ts';

const storedEmotionSchema = z.looseObject({
  primary_emotion: z.string(),
  primary_score: z.number(),
  emotions: z.array(z.object({ label: z.string(), score: z.number() })),
  confidence: z.number(),
  valence: z.number(),
  arousal: z.number(),
  intensity: z.number(),
});

export const historyEntrySchema = z.object({
  job_id: z.string(),
  item_index: z.int(),
  timestamp: z.iso.datetime().describe('When the text was submitted'),
  model_version: z.string(),
  primary_emotion: z.string(),
  primary_score: z.number(),
  emotions: z.array(z.object({ label: z.string(), score: z.number() })),
  valence: z.number(),
  arousal: z.number(),
  intensity: z.number(),
  confidence: z.number(),
  anomaly: anomalySchema
    .optional()
    .describe(
      'How far from what is usual for the person; only for tenants that asked for it, from the eighth analysis on',
    ),
});

export type HistoryEntry = z.output<typeof historyEntrySchema>;

/** The trajectory is computed from the newest this many analyses of the range. */
const trajectoryPointsMax = 1000;

/** A page of a person's emotion analyses, newest first, and the trajectory of the whole range. */
export async function showHistory(
  context: Context,
  person: PersonName,
  range: HistoryRange,
): Promise<{ data: HistoryEntry[]; has_more: boolean; trajectory: Trajectory }> {
  const { from, to } = range;
  const [emotions, page, flagged] = await Promise.all([
    asTenant(context.readers, person.tenantId, (reader) =>
      listEmotions(reader, person, { from, to, limit: trajectoryPointsMax }),
    ),
    listEntries(context, person, { ...range, limit: range.limit + 1 }),
    wantsAnomalyFlags(context.system, person.tenantId),
  ]);
  // Oldest first, so that texts of one job, which have the same time, keep their order.
  const points = emotions.toReversed().map((emotion) => ({ ...emotion, at: uuidTime(emotion.jobId) }));
  return {
    data: page.slice(0, range.limit).map((entry) => (flagged ? withAnomaly(entry, points) : entry)),
    has_more: page.length > range.limit,
    trajectory: trajectoryOf(points),
  };
}

/** The entry beside what the analyses before it make usual. */
function withAnomaly(entry: HistoryEntry, points: readonly EmotionPoint[]): HistoryEntry {
  const at = Date.parse(entry.timestamp);
  const baseline = trajectoryOf(points.filter((point) => point.at.getTime() < at));
  const anomaly = findAnomaly(entry, baseline, { optedIn: true });
  return anomaly === undefined ? entry : { ...entry, anomaly };
}

async function listEntries(
  context: Context,
  person: PersonName,
  range: HistoryRange,
): Promise<HistoryEntry[]> {
  const rows = await asTenant(context.readers, person.tenantId, (reader) =>
    listHistory(reader, person, { ...range, kind: 'emotion' }),
  );
  return rows.flatMap((row) => {
    const parsed = storedEmotionSchema.safeParse(row.output);
    if (!parsed.success) return [];
    const { emotions, primary_emotion, primary_score, confidence, valence, arousal, intensity } = parsed.data;
    const about = {
      job_id: formatJobId(row.jobId),
      item_index: row.itemIndex,
      timestamp: uuidTime(row.jobId).toISOString(),
      model_version: row.modelVersion,
    };
    return [{ ...about, primary_emotion, primary_score, emotions, valence, arousal, intensity, confidence }];
  });
}
