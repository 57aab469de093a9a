import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  communities,
  confounders,
  contradictions,
  explain,
  type MeasuredEdge,
  measureLimits,
  whatIf,
} from './graph-measures.ts';

/** `a>b:0.5` and so on; `a-|b` prevents. */
function graph(text: string): MeasuredEdge[] {
  return text.split(' ').map((part) => {
    const [, source = '', arrow, target = '', strength = '1'] =
      /^(\w+)(>|-\|)(\w+)(?::([\d.]+))?$/.exec(part) ?? [];
    const relation = arrow === '>' ? 'causal' : 'prevents';
    return { source, target, type: 'causes', relation, strength: Number(strength), evidenceCount: 1 };
  });
}

const close = (actual: number | undefined, expected: number) =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);

test('finds two cliques that one weak tie joins, with the modularity of that division', () => {
  const found = communities(graph('a>b b>c c>a c>x:0.1 x>y y>z z>x'));
  assert.equal(
    found.communities.map(({ nodes }) => nodes),
    [
      ['a', 'b', 'c'],
      ['x', 'y', 'z'],
    ],
  );
  assert.equal(
    found.communities.map(({ label }) => label),
    ['a', 'x'],
  );
  close(found.modularity, 2 * (3 / 6.1 - (6.1 / 12.2) ** 2));
});

test('reaches the modularity that the literature gives for the karate club', () => {
  // Zachary 1977; the Louvain method ends between 0.415 and 0.4198, the best known division.
  const club =
    '1-2 1-3 1-4 1-5 1-6 1-7 1-8 1-9 1-11 1-12 1-13 1-14 1-18 1-20 1-22 1-32 2-3 2-4 2-8 2-14 2-18 2-20 2-22 2-31 3-4 3-8 3-9 3-10 3-14 3-28 3-29 3-33 4-8 4-13 4-14 5-7 5-11 6-7 6-11 6-17 7-17 9-31 9-33 9-34 10-34 14-34 15-33 15-34 16-33 16-34 19-33 19-34 20-34 21-33 21-34 23-33 23-34 24-26 24-28 24-30 24-33 24-34 25-26 25-28 25-32 26-32 27-30 27-34 28-34 29-32 29-34 30-33 30-34 31-33 31-34 32-33 32-34 33-34';
  const { modularity } = communities(graph(club.replaceAll('-', '>')));
  assert.ok(modularity > 0.41 && modularity < 0.42, String(modularity));
});

test('does not depend on the order of the edges', () => {
  const edges = graph('a>b:0.3 b>c:0.9 c>d:0.2 d>a:0.4 a>c:0.6 e>f:0.5 f>d:0.1');
  for (const measure of [communities, contradictions]) {
    assert.equal(measure(edges.toReversed()), measure(edges));
  }
  assert.equal(explain(edges.toReversed(), 'a', 'd'), explain(edges, 'a', 'd'));
});

test('has no communities without causal edges', () => {
  const mentions = graph('self>a self>b').map((edge) => ({ ...edge, type: 'mentions' }));
  assert.equal(communities(mentions), { communities: [], modularity: 0 });
  assert.equal(communities([]), { communities: [], modularity: 0 });
});

test('names mutual causes and longer cycles once each, strongest first', () => {
  const found = contradictions(graph('b>a:0.5 a>b:0.5 b>c:0.9 c>d:0.9 d>b:0.9 e>e x>a'));
  assert.equal(
    found.contradictions.map(({ type, nodes }) => [type, nodes.join('')]),
    [
      ['causal_cycle', 'bcd'],
      ['mutual_causation', 'ab'],
    ],
  );
  close(found.contradictions[1]?.strength, 0.25);
  assert.is(found.truncated, false);
});

test('ignores cycles that are longer than the limit', () => {
  assert.equal(contradictions(graph('a>b b>c c>d d>e e>f f>a')).contradictions, []);
  assert.is(contradictions(graph('a>b b>c c>d d>e e>a')).contradictions.length, 1);
});

test('finds common causes, near and far, but none that acts through the other', () => {
  const edges = graph('sun>ice:0.8 sun>swim:0.5 year>sun:0.5 ice>fat cook>ice ice>swim:0.1');
  assert.equal(confounders(edges, 'ice', 'swim').confounders, [
    { node: 'sun', direct: true, strength: 0.4 },
    { node: 'year', direct: false, strength: 0.1 },
  ]);
  assert.equal(confounders(edges, 'fat', 'nothing').confounders, []);
});

test('explains a relation by its paths and what lies between', () => {
  const found = explain(graph('a>b:0.5 a>m:0.9 m>b:0.8 m>n n>b:0.1 b>a'), 'a', 'b');
  assert.equal([found.exists, found.direct, found.pathCount], [true, true, 3]);
  assert.equal(found.strongest?.nodes, ['a', 'm', 'b']);
  close(found.strongest?.strength, 0.72);
  assert.equal(found.mediators, [
    { node: 'm', paths: 2 },
    { node: 'n', paths: 1 },
  ]);
  assert.equal(explain([], 'a', 'b'), {
    exists: false,
    direct: false,
    pathCount: 0,
    strongest: null,
    mediators: [],
    truncated: false,
  });
});

test('adds up signed paths in a what-if and says what it assumes', () => {
  const edges = graph('sport>sleep:0.5 sleep-|stress:0.8 sport>stress:0.1 stress-|joy:0.5 stress>sport');
  const { effects, assumptions } = whatIf(edges, { node: 'sport', change: 1 });
  assert.equal(
    effects.map(({ node }) => node),
    ['sleep', 'stress', 'joy'],
  );
  close(effects[0]?.estimate, 0.5);
  close(effects[1]?.estimate, -0.5 * 0.8 + 0.1);
  close(effects[2]?.estimate, 0.5 * 0.8 * 0.5 - 0.1 * 0.5);
  assert.ok(assumptions.length > 0);
  const less = whatIf(edges, { node: 'sport', change: -1 });
  close(less.effects[1]?.estimate, 0.3);
  assert.equal(whatIf(edges, { node: 'unknown', change: 1 }).effects, []);
});

test('cuts estimates to the range and refuses a change out of it', () => {
  const { effects } = whatIf(graph('a>b a>c c>b'), { node: 'a', change: 1 });
  assert.is(effects.find(({ node }) => node === 'b')?.estimate, 1);
  assert.throws(() => whatIf([], { node: 'a', change: 2 }), /-1 to 1/);
  assert.throws(() => whatIf([], { node: 'a', change: Number.NaN }), RangeError);
});

test('ends on a dense graph at its limit and says so', () => {
  const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
  const dense = names.flatMap((a) => names.filter((b) => b !== a).map((b) => `${a}>${b}:0.5`));
  const edges = graph(dense.join(' '));
  const started = performance.now();
  assert.is(explain(edges, 'n0', 'n1').truncated, true);
  assert.is(contradictions(edges).truncated, true);
  assert.is(confounders(edges, 'n0', 'n1').truncated, true);
  assert.is(whatIf(edges, { node: 'n0', change: 1 }, { ...measureLimits, pathsMax: 50 }).truncated, true);
  assert.ok(performance.now() - started < 2000);
});

test.run();
