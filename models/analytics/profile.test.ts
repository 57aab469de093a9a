import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildProfile, type GraphSection, profileSchema } from './profile.ts';
import { diffProfiles, profileDiffSchema } from './profile-diff.ts';

type Given = Parameters<typeof buildProfile>[0];

const day = (number: number): Date => new Date(Date.UTC(2026, 10, number, 12));
const graph: GraphSection = {
  stats: { nodes: 3, edges: 2, nodes_by_type: { concept: 2, person: 1 }, edges_by_type: { causes: 2 } },
  top_concepts: [{ key: 'concept:rain', name: 'rain', degree: 2 }],
  communities: [{ label: 'concept:rain', nodes: ['concept:rain', 'concept:flood', 'concept:delay'] }],
  modularity: 0.1,
};

function chain(cause: string, effect: string, more: Partial<{ chain_type: string; strength: number }> = {}) {
  return {
    cause: { text: cause },
    effect: { text: effect },
    relation: 'causal',
    chain_type: 'causal',
    strength: 0.8,
    confidence: 0.5,
    ...more,
  };
}

const given: Given = {
  emotions: [0.5, 0.1, -0.3].map((valence, index) => ({
    at: day(20 + index),
    valence,
    arousal: 0.4,
    intensity: 0.5,
    primary_emotion: index === 0 ? 'joy' : 'sadness',
    model_version: '2026.11.2',
  })),
  reasoning: [
    {
      at: day(20),
      causal_chains: [chain('The rain', 'a flood'), chain('work', 'stress', { strength: 0.9 })],
      counterfactuals: [{}],
      model_version: '2026.11.1',
    },
    {
      at: day(21),
      causal_chains: [
        chain('rain', 'flood', { strength: 0.6 }),
        chain('x', 'y', { chain_type: 'deductive' }),
      ],
      counterfactuals: [],
      model_version: '2026.11.1',
    },
  ],
  graph,
  include: { emotions: true, reasoning: true, knowledge_graph: true },
  window: { from: day(1), to: day(24) },
  generatedAt: day(24),
};

test('puts emotions, reasoning and graph together', () => {
  const profile = profileSchema.parse(buildProfile(given));
  assert.is(profile.emotions?.data_points, 3);
  assert.is(profile.emotions?.baseline_valence, 0.1);
  assert.equal(profile.reasoning?.types, { causal: 3, deductive: 1 });
  assert.is(profile.reasoning?.preferred_style, 'causal');
  assert.is(profile.reasoning?.total_chains, 4);
  assert.is(profile.reasoning?.counterfactuals, 1);
  assert.equal(profile.knowledge_graph, graph);
  assert.equal(profile.coverage, {
    emotion_analyses: 3,
    reasoning_analyses: 2,
    days: 3,
    first_at: day(20).toISOString(),
    last_at: day(22).toISOString(),
  });
  assert.equal(profile.model_versions, { emotion: ['2026.11.2'], reasoning: ['2026.11.1'] });
});

test('chains of the same concepts are one, strongest first', () => {
  const [first, second] = buildProfile(given).reasoning?.strongest_chains ?? [];
  assert.equal(first, {
    cause: 'The rain',
    effect: 'a flood',
    evidence_count: 2,
    strength: 0.7,
    confidence: 0.5,
  });
  assert.is(second?.cause, 'work');
});

test('what is left out is null, and its analyses are not covered', () => {
  const profile = buildProfile({
    ...given,
    include: { emotions: false, reasoning: true, knowledge_graph: false },
  });
  assert.is(profile.emotions, null);
  assert.is(profile.knowledge_graph, null);
  assert.is(profile.coverage.emotion_analyses, 0);
  assert.equal(Object.keys(profile.model_versions), ['reasoning']);
});

test('only the window counts, its start inclusive and its end not', () => {
  const profile = buildProfile({ ...given, window: { from: day(21), to: day(22) } });
  assert.is(profile.emotions?.data_points, 1);
  assert.is(profile.coverage.reasoning_analyses, 1);
});

test('a person without analyses has a profile of nulls and zeros', () => {
  const profile = profileSchema.parse(buildProfile({ ...given, emotions: [], reasoning: [] }));
  assert.is(profile.emotions?.baseline_valence, null);
  assert.is(profile.reasoning?.preferred_style, null);
  assert.is(profile.coverage.first_at, null);
  assert.is(profile.coverage.days, 0);
});

test('two equally frequent styles are no preference', () => {
  const causal_chains = [chain('a', 'b'), chain('c', 'd', { chain_type: 'deductive' })];
  const even = [{ at: day(20), causal_chains, counterfactuals: [], model_version: '1' }];
  assert.is(buildProfile({ ...given, reasoning: even }).reasoning?.preferred_style, null);
});

test('a profile does not differ from itself', () => {
  const profile = buildProfile(given);
  assert.equal(diffProfiles(profile, profile), { comparable: true, numbers: {}, words: {}, lists: {} });
});

test('a diff names each figure, word and list entry that changed', () => {
  const before = buildProfile({ ...given, window: { from: day(1), to: day(21) } });
  const after = buildProfile(given);
  const diff = profileDiffSchema.parse(diffProfiles(before, after));
  assert.equal(diff.numbers['emotions.baseline_valence'], { before: 0.5, after: 0.1, change: -0.4 });
  assert.equal(diff.numbers['emotions.valence_std'], { before: null, after: 0.4, change: null });
  assert.equal(diff.numbers['reasoning.types.deductive'], { before: 0, after: 1, change: 1 });
  assert.is(diff.numbers['knowledge_graph.nodes'], undefined);
  assert.equal(diff.words['reasoning.preferred_style'], undefined);
  assert.equal(diff.lists['emotions.dominant_emotions'], { added: ['sadness'], removed: [] });
  assert.equal(diff.lists['reasoning.strongest_chains'], { added: ['concept:x -> concept:y'], removed: [] });
});

test('the diff the other way round has the opposite sign', () => {
  const before = buildProfile({ ...given, window: { from: day(1), to: day(21) } });
  const after = buildProfile(given);
  const [there, back] = [diffProfiles(before, after), diffProfiles(after, before)];
  assert.equal(Object.keys(there.numbers), Object.keys(back.numbers));
  for (const [path, { change }] of Object.entries(there.numbers)) {
    assert.is(back.numbers[path]?.change, change === null ? null : -change);
  }
});

test('other model versions are not comparable', () => {
  const retrained = given.emotions.map((point) => ({ ...point, model_version: '2027.1.1' }));
  const diff = diffProfiles(buildProfile(given), buildProfile({ ...given, emotions: retrained }));
  assert.is(diff.comparable, false);
});

test('a section that was left out before counts as null', () => {
  const before = buildProfile({ ...given, include: { ...given.include, emotions: false } });
  const diff = diffProfiles(before, buildProfile(given));
  assert.equal(diff.numbers['emotions.baseline_valence'], { before: null, after: 0.1, change: null });
});

test.run();
