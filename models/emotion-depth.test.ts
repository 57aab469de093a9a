// Emotion in depth on the real model: the cases that the former system's users know, and what must hold of context,
// baseline and sentences.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { factSchema, selfKey } from '../shared/fact.ts';
import { findAnomaly } from './analytics/anomaly.ts';
import { trajectoryOf } from './analytics/trajectory.ts';
import type { LoadedAnalyzer, PreparedItem, Row } from './analyzer.ts';
import { emotion } from './emotion.ts';
import { planMicroBatches } from './micro-batch.ts';
import { listVersions, openArtifact } from './repository.ts';
import { loadSession, type ModelSession } from './session.ts';

const modelsDir = join(packageRoot, 'models/artifacts');
const versions = listVersions(modelsDir, 'emotion');
const score = z.number();
const labels = z.array(z.object({ label: z.string(), score }));
const affect = z.object({ valence: score, arousal: score });

/** What of the output the tests look at; that all of it keeps its contract is checked for each answer. */
const outputSchema = z.object({
  emotions: labels,
  primary_emotion: z.string(),
  primary_score: score,
  all_emotions: z.record(z.string(), score).optional(),
  confidence: score,
  intensity: score,
  valence: score,
  arousal: score,
  adjusted: affect.extend({ weights: z.record(z.string(), score) }).nullable(),
  deviation: affect.nullable(),
  is_sarcastic: z.boolean().nullable(),
  sarcasm: z.object({ score: score.nullable(), reason: z.string().nullable() }),
  mixed_emotions: z.array(z.object({ labels: z.array(z.string()), scores: z.array(score) })),
  sentences: z
    .array(
      z.object({
        text: z.string(),
        start: z.number(),
        end: z.number(),
        primary_emotion: z.string(),
        valence: score,
        truncated: z.boolean(),
      }),
    )
    .optional(),
  language: z.string(),
  warnings: z.array(z.object({ code: z.string() })),
  tokens: z.number(),
  truncated: z.boolean(),
});
type Output = z.output<typeof outputSchema>;
type Options = Record<string, unknown>;

interface Model {
  readonly session: ModelSession;
  readonly analyzer: LoadedAnalyzer;
}

async function openModel(version: string): Promise<Model> {
  const artifact = openArtifact(modelsDir, 'emotion', version);
  return { session: await loadSession(artifact.modelPath, 1), analyzer: emotion.load(artifact) };
}

const newest = await openModel(versions.at(-1) ?? '');

/** Runs items as the inference process does: all their sequences together, by length. */
async function runAll(
  { session, analyzer }: Model,
  items: readonly PreparedItem[],
  itemsMax: number,
): Promise<Output[]> {
  const sequences = items.flatMap((item, index) =>
    item.sequences.map((ids, place) => ({ index, place, ids })),
  );
  const rows = items.map(({ sequences: own }): Row[] => own.map(() => ({})));
  for (const batch of planMicroBatches(
    sequences.map(({ ids }) => ids.length),
    { itemsMax },
  )) {
    const entries = batch.flatMap((number) => sequences[number] ?? []);
    const answers = await session.run(
      entries.map(({ ids }) => ids),
      analyzer.outputs,
    );
    for (const [number, { index, place }] of entries.entries()) {
      const own = rows[index];
      if (own !== undefined) own[place] = answers[number] ?? {};
    }
  }
  return items.map((item, index) => {
    const output = item.finish(rows[index] ?? []);
    emotion.outputSchema.parse(output);
    return outputSchema.parse(output);
  });
}

async function analyse(text: string, options: Options = {}, model = newest): Promise<Output> {
  const [output] = await runAll(model, [model.analyzer.prepare(text, options)], 8);
  return outputSchema.parse(output);
}

test('a happy text is joyful and pleasant', async () => {
  const output = await analyse("I'm so happy today! Everything is going great!");
  assert.ok(['joy', 'excitement', 'amusement'].includes(output.primary_emotion));
  assert.ok(output.valence > 0.5);
  assert.ok(output.arousal > 0.5);
});

test('a sad and lonely text is sad, unpleasant and calm', async () => {
  const output = await analyse('I feel so sad and lonely.');
  assert.is(output.primary_emotion, 'sadness');
  assert.ok(output.valence < -0.3);
  assert.ok(output.arousal < 0.5);
});

test('an angry text is angry and aroused', async () => {
  const output = await analyse('I am so angry at you right now!');
  assert.is(output.primary_emotion, 'anger');
  assert.ok(output.arousal > 0.5);
  assert.ok(output.valence < 0);
});

test('"Oh great, another problem" is not passed off as sincere, and its scores stay the model\'s', async () => {
  const output = await analyse('Oh great, another problem.');
  assert.is.not(output.is_sarcastic, false);
  if (output.is_sarcastic === null) assert.match(output.sarcasm.reason ?? '', 'unsure');
  assert.ok((output.all_emotions?.['admiration'] ?? 0) > 0.5);
});

test('a version without the head says why it does not judge sarcasm, and has the same fields', async () => {
  const first = await openModel(versions[0] ?? '');
  const output = await analyse('Oh great, another problem.', {}, first);
  if (versions[0] === '2026.11.1') {
    assert.is(output.is_sarcastic, null);
    assert.equal(output.sarcasm, {
      score: null,
      reason: 'This version of the model has no sarcasm head',
    });
  }
  await first.session.close();
});

test('a new job and friends left behind are mixed', async () => {
  const output = await analyse("I'm excited about my new job but sad to leave my friends.");
  assert.equal(output.mixed_emotions[0]?.labels, ['sadness', 'excitement']);
  assert.equal((await analyse('I am so angry at you right now!')).mixed_emotions, []);
});

test('THRILLED!!! is more intense than okay', async () => {
  const thrilled = await analyse("I'm absolutely THRILLED!!!");
  const okay = await analyse("I'm okay.");
  assert.ok(thrilled.intensity > 0.8);
  assert.ok(okay.intensity < 0.5);
});

test('seven days that get worse are declining', async () => {
  const texts = [
    'What a wonderful day, I love my life!',
    'Today was really nice.',
    'Work went well, I am pleased.',
    'Nothing special happened, an ordinary day.',
    'I am a little disappointed with how things go.',
    'I feel sad and tired of it all.',
    'Everything is hopeless and I feel terrible.',
  ];
  const points = [];
  for (const [day, text] of texts.entries()) {
    points.push({ ...(await analyse(text)), at: new Date(Date.UTC(2026, 10, 1 + day)) });
  }
  const { trend, trend_slope } = trajectoryOf(points);
  assert.is(trend, 'declining');
  assert.ok(trend_slope !== null && trend_slope < -0.1);
});

test('giving up on everything is unusual for someone of valence .6, .2 either way', async () => {
  const output = await analyse('I feel terrible and want to give up on everything.');
  const usual = {
    baseline_valence: 0.6,
    valence_std: 0.2,
    baseline_arousal: 0.5,
    arousal_std: 0.1,
    data_points: 20,
  };
  const found = findAnomaly(output, usual, { optedIn: true });
  assert.is(found?.valence.direction, 'below_usual');
});

test('an item takes less than two seconds of a core, 10,000 characters in sentences included', async () => {
  const long = Array.from(
    { length: 210 },
    (_, day) => `On day ${day} I was glad, but the way home was hard. `,
  ).join('');
  for (const [text, options] of [
    ['I feel so sad and lonely.', {}],
    [long.slice(0, 10_000), { granularity: 'sentence', context_messages: ['Hello.', 'How are you?'] }],
  ] as const) {
    const before = process.cpuUsage();
    await analyse(text, options);
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 2_000_000);
  }
});

test('context, baseline and sentences change no figure of the text itself', async () => {
  const text = 'I lost my keys again. But a kind stranger found them!';
  const plain = await analyse(text);
  const rich = await analyse(text, {
    granularity: 'sentence',
    context_messages: ['I hate this week.', 'Nothing works and I am furious.'],
    baseline: { valence: 0.4, arousal: 0.4 },
  });
  const { adjusted, deviation, sentences, ...same } = rich;
  const { adjusted: none, deviation: noneEither, sentences: noSentences, ...before } = plain;
  assert.equal(same, before);
  assert.is(none, null);
  assert.is(noneEither, null);
  assert.is(noSentences, undefined);
  assert.is(sentences?.length, 2);
  assert.ok(adjusted && adjusted.valence < plain.valence);
  assert.ok(Math.abs((deviation?.valence ?? 0) - (plain.valence - 0.4)) < 1e-4);
});

test('the scores are those of the golden file, to the last digits that rounding leaves', async () => {
  const version = versions.at(-1) ?? '';
  const artifact = openArtifact(modelsDir, 'emotion', version);
  const golden = z
    .array(z.object({ text: z.string(), logits_int8: z.array(z.number()) }))
    .parse(JSON.parse(readFileSync(join(dirname(artifact.modelPath), 'golden.json'), 'utf8')));
  const items = golden.map(({ text }) => newest.analyzer.prepare(text, {}));
  const outputs = await runAll(newest, items, 8);
  const furthest = golden.map(({ logits_int8 }, index) => {
    const scores = Object.values(outputs[index]?.all_emotions ?? {});
    return Math.max(
      ...logits_int8.map((logit, label) => Math.abs(1 / (1 + Math.exp(-logit)) - (scores[label] ?? 1))),
    );
  });
  // Bounds as in emotion.test.ts, whose logits these are the scores of: a score moves by a quarter of that at most.
  assert.ok(Math.max(...furthest) < 0.075);
  assert.ok(furthest.filter((distance) => distance < 0.001).length >= 0.8 * furthest.length);
});

test('an item of many sequences has the same answer in any micro-batch', async () => {
  const options = { granularity: 'sentence', context_messages: ['I am afraid.', 'It was a joke, haha!'] };
  const texts = [
    'It is over. I am so relieved! Thank you all for waiting with me through the night.',
    'No.',
    `${'The weather was awful and we argued. '.repeat(30)}Still, I love them.`,
    'Why would you do this to me? I trusted you. 💔',
  ];
  const prepare = () => texts.map((text) => newest.analyzer.prepare(text, options));
  const [alone, eight, many] = await Promise.all([1, 8, 32].map((size) => runAll(newest, prepare(), size)));
  for (const other of [eight, many]) assert.ok(distance(alone, other) <= 2e-5);
});

/** The largest difference between numbers in the same place; infinite if anything else differs. */
function distance(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b);
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object')
    return a === b ? 0 : Infinity;
  const [left, right] = [Object.entries(a), Object.entries(b)];
  if (left.length !== right.length) return Infinity;
  return Math.max(
    0,
    ...left.map(([key, value], index) => {
      const [otherKey, other] = right[index] ?? [];
      return key === otherKey ? distance(value, other) : Infinity;
    }),
  );
}

test('sentences name their place in the text as it was sent', async () => {
  const text = '  😀 I won! “Really?” she said.\n\nYes… and I cried. ';
  const output = await analyse(text, { granularity: 'sentence' });
  assert.ok(output.sentences && output.sentences.length >= 3);
  for (const sentence of output.sentences) assert.is(text.slice(sentence.start, sentence.end), sentence.text);
});

test('a text of 100 sentences is read whole by sentence, and cut otherwise', async () => {
  const text = Array.from({ length: 100 }, (_, index) => `On day ${index} I was happy with my friends.`).join(
    ' ',
  );
  const cut = await analyse(text);
  assert.is(cut.truncated, true);
  const whole = await analyse(text, { granularity: 'sentence' });
  assert.is(whole.truncated, false);
  assert.is(whole.sentences?.length, 100);
  assert.is(whole.primary_emotion, 'joy');
  assert.ok(whole.tokens > 900);
  assert.ok(whole.warnings.some(({ code }) => code === 'document_averaged'));
});

test('one endless sentence is said to be truncated', async () => {
  const output = await analyse('and on and on '.repeat(200), { granularity: 'sentence' });
  assert.is(output.truncated, true);
  assert.is(output.sentences?.[0]?.truncated, true);
});

test('equal sentences run once, and more than 256 are not read', async () => {
  const text = 'No way. '.repeat(400);
  assert.is(newest.analyzer.prepare(text, { granularity: 'sentence' }).sequences.length, 2);
  const output = await analyse(text, { granularity: 'sentence' });
  assert.is(output.sentences?.length, 256);
  assert.is(output.truncated, true);
});

test('a text of white space has an answer and no sentences', async () => {
  const output = await analyse(' \n ', { granularity: 'sentence' });
  assert.equal(output.sentences, []);
  assert.ok(output.emotions.length > 0);
});

test('a text in another language is answered with a warning', async () => {
  const output = await analyse("Je suis très content de vous voir aujourd'hui");
  assert.is(output.language, 'fr');
  assert.equal(
    output.warnings.map(({ code }) => code),
    ['language_not_english'],
  );
  assert.equal((await analyse('I am glad to see you.')).warnings, []);
});

test('a context message that is cut is warned of', async () => {
  const output = await analyse('Yes.', { context_messages: ['word '.repeat(500)] });
  assert.ok(output.warnings.some(({ code }) => code === 'context_truncated'));
});

test('all_emotions is left out on demand', async () => {
  assert.is((await analyse('Hello.', { include_all: false })).all_emotions, undefined);
  assert.is(Object.keys((await analyse('Hello.')).all_emotions ?? {}).length, 28);
});

test('options that make no sense are refused', () => {
  const refused: Options[] = [
    { granularity: 'word' },
    { colour: 'red' },
    { context_messages: Array.from({ length: 11 }, () => 'Hi.') },
    { context_messages: [''] },
    { context_messages: ['a\0b'] },
    { context_messages: ['\ud800'] },
    { context_messages: ['x'.repeat(10_001)] },
    { baseline: { valence: 2, arousal: 0 } },
    { baseline: { valence: 0 } },
    { baseline: { valence: 0, arousal: 0, dominance: 0 } },
  ];
  for (const options of refused) assert.is(emotion.optionsSchema.safeParse(options).success, false);
  assert.equal(emotion.optionsSchema.parse({}), {
    granularity: 'document',
    include_all: true,
    context_messages: [],
  });
});

test('the person feels what is shown, but for neutral', async () => {
  const [text, dull] = ['I am so angry at you right now!', 'The meeting is at 3 pm in room 204.'];
  const output = await analyse(text);
  const facts = emotion.toFacts?.(output) ?? [];
  for (const fact of facts) factSchema.parse(fact);
  assert.equal(facts, [
    {
      type: 'feels',
      source: selfKey,
      target: 'emotion:anger',
      relation: null,
      strength: output.primary_score,
    },
  ]);
  assert.equal(emotion.toFacts?.(await analyse(dull)), []);
});

test('every field of the output is described', () => {
  const { properties } = z
    .object({ properties: z.record(z.string(), z.object({ description: z.string() })) })
    .parse(z.toJSONSchema(emotion.outputSchema));
  assert.ok(Object.keys(properties).length >= 18);
});

test.after(() => newest.session.close());

test.run();
