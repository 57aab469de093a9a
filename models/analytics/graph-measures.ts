// What can be read from the causal graph of one person: how concepts cluster, where the person contradicts themself,
// what explains a relation, and what a change might do. Pure functions over a bounded subgraph; only edges of type
// `causes` count. Answers are sorted, so that the same graph always gives the same answer.

import { findCommunities } from './louvain.ts';

/** An edge as the measures need it; strength is 0..1. */
export interface MeasuredEdge {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly relation: string | null;
  readonly strength: number;
  readonly evidenceCount: number;
}

/** Limits of every search below: hops of a path or cycle, and how many are looked at. */
export interface MeasureLimits {
  readonly hopsMax: number;
  readonly pathsMax: number;
}

export const measureLimits: MeasureLimits = { hopsMax: 5, pathsMax: 1000 };

/** Relations in which more of the cause means less of the effect. */
const negativeRelations: readonly string[] = ['prevents', 'inhibits', 'reduces'];

interface Path {
  readonly nodes: readonly string[];
  readonly edges: readonly MeasuredEdge[];
  /** Product of the strengths. */
  readonly strength: number;
}

export interface Community {
  /** The member that is tied most strongly to the others. */
  readonly label: string;
  readonly nodes: readonly string[];
}

/**
 * Groups of at least `sizeMin` concepts that are tied to each other more than to the rest. Ties are causal edges without
 * their direction, weighed by strength times evidence. Modularity is that of the whole division, -0.5..1; 0 without edges.
 */
export function communities(
  edges: readonly MeasuredEdge[],
  sizeMin = 3,
): { communities: Community[]; modularity: number } {
  const ties = causal(edges).map(({ source, target, strength, evidenceCount }) => {
    return { a: source, b: target, weight: strength * evidenceCount };
  });
  const { groups, modularity } = findCommunities(ties);
  const labelled = groups
    .filter((nodes) => nodes.length >= sizeMin)
    .map((nodes) => ({ label: centre(nodes, ties), nodes }));
  return { communities: labelled.sort((a, b) => b.nodes.length - a.nodes.length), modularity };
}

function centre(nodes: readonly string[], ties: readonly { a: string; b: string; weight: number }[]): string {
  const members = new Map(nodes.map((node) => [node, 0]));
  for (const { a, b, weight } of ties) {
    const [atA, atB] = [members.get(a), members.get(b)];
    if (atA === undefined || atB === undefined || a === b) continue;
    members.set(a, atA + weight).set(b, atB + weight);
  }
  return [...members].sort((a, b) => b[1] - a[1] || compare(a[0], b[0]))[0]?.[0] ?? '';
}

export interface Contradiction {
  /** `mutual_causation`: each of two is named as the cause of the other; else the cycle is longer. */
  readonly type: 'mutual_causation' | 'causal_cycle';
  /** In causal order, beginning with the smallest key; the last one causes the first. */
  readonly nodes: readonly string[];
  readonly strength: number;
}

/**
 * Cycles of causes, strongest first: two or more concepts of which each is said to cause the next. They may be a
 * contradiction or a feedback loop; the graph cannot tell. `truncated` if `pathsMax` ended the search.
 */
export function contradictions(
  edges: readonly MeasuredEdge[],
  limits = measureLimits,
): { contradictions: Contradiction[]; truncated: boolean } {
  const budget = { left: limits.pathsMax };
  const graph = indexBySource(edges);
  const found = [...graph.keys()].sort(compare).flatMap((start) =>
    walk({
      graph,
      start,
      hopsMax: limits.hopsMax - 1,
      budget,
      allows: (node) => compare(node, start) > 0,
    }).flatMap((path) => {
      const back = graph.get(path.nodes.at(-1) ?? '')?.find(({ target }) => target === start);
      if (back === undefined) return [];
      const type = path.nodes.length === 2 ? ('mutual_causation' as const) : ('causal_cycle' as const);
      return [{ type, nodes: path.nodes, strength: path.strength * back.strength }];
    }),
  );
  return { contradictions: found.sort(strongestFirst), truncated: budget.left <= 0 };
}

export interface Confounder {
  readonly node: string;
  /** True if it is said to cause both at first hand. */
  readonly direct: boolean;
  /** Product of the strongest path to each. */
  readonly strength: number;
}

/**
 * Common causes of `a` and `b`: concepts with a causal path to each that does not pass the other. Where there is one, a
 * relation between the two may come from it (Pearl, Causality, 2nd ed. 2009, section 3.3).
 */
export function confounders(
  edges: readonly MeasuredEdge[],
  a: string,
  b: string,
  limits = measureLimits,
): { confounders: Confounder[]; truncated: boolean } {
  const budget = { left: limits.pathsMax };
  const graph = indexByTarget(edges);
  const causesOf = (start: string, other: string) =>
    best(walk({ graph, start, hopsMax: limits.hopsMax, budget, allows: (node) => node !== other }));
  const [ofA, ofB] = [causesOf(a, b), causesOf(b, a)];
  const common = [...ofA].flatMap(([node, toA]) => {
    const toB = ofB.get(node);
    if (toB === undefined) return [];
    const direct = [a, b].every((end) => graph.get(end)?.some(({ target }) => target === node) ?? false);
    return [{ node, nodes: [node], direct, strength: toA.strength * toB.strength }];
  });
  return {
    confounders: common
      .sort(strongestFirst)
      .map(({ node, direct, strength }) => ({ node, direct, strength })),
    truncated: budget.left <= 0,
  };
}

export interface Explanation {
  readonly exists: boolean;
  readonly direct: boolean;
  readonly pathCount: number;
  readonly strongest: { readonly nodes: readonly string[]; readonly strength: number } | null;
  /** Concepts between the two, by the number of paths that pass them. */
  readonly mediators: readonly { readonly node: string; readonly paths: number }[];
  readonly truncated: boolean;
}

/** How `from` is said to lead to `to`: every path without a node twice, of at most `hopsMax` hops. */
export function explain(
  edges: readonly MeasuredEdge[],
  from: string,
  to: string,
  limits = measureLimits,
): Explanation {
  const budget = { left: limits.pathsMax };
  const graph = indexBySource(edges);
  const all = walk({ graph, start: from, hopsMax: limits.hopsMax, budget, allows: () => true, end: to });
  const paths = all.filter(({ nodes }) => nodes.at(-1) === to).sort(strongestFirst);
  const strongest = paths[0];
  const passed = new Map<string, number>();
  for (const node of paths.flatMap(({ nodes }) => nodes.slice(1, -1)))
    passed.set(node, (passed.get(node) ?? 0) + 1);
  return {
    exists: paths.length > 0,
    direct: paths.some(({ edges: steps }) => steps.length === 1),
    pathCount: paths.length,
    strongest: strongest === undefined ? null : { nodes: strongest.nodes, strength: strongest.strength },
    mediators: Array.from(passed, ([node, count]) => ({ node, paths: count })).sort(
      (a, b) => b.paths - a.paths || compare(a.node, b.node),
    ),
    truncated: budget.left <= 0,
  };
}

export interface WhatIf {
  readonly effects: readonly {
    readonly node: string;
    /** Estimated change, -1..1. */
    readonly estimate: number;
    readonly paths: number;
    readonly strongest: readonly string[];
  }[];
  readonly assumptions: readonly string[];
  readonly truncated: boolean;
}

const assumptions = [
  'The graph holds what the person said causes what; it is neither measured nor complete.',
  'The strength of a relation is how sure its extraction is; it stands in for the size of the effect.',
  'Effects are linear: along a path the signed strengths multiply, over the paths to a concept they add up.',
  'Relations that prevent, inhibit or reduce count as negative, all others as positive.',
  'Feedback is not followed: no path passes a concept twice. Estimates are cut to -1..1.',
] as const;

/**
 * What a change of `node` by `change` (-1..1) might do to the concepts behind it: the total effect by the path rule of
 * linear models (Wright, Correlation and causation, 1921), greatest first.
 * @throws RangeError if `change` is out of range.
 */
export function whatIf(
  edges: readonly MeasuredEdge[],
  intervention: { readonly node: string; readonly change: number },
  limits = measureLimits,
): WhatIf {
  const { node: start, change } = intervention;
  if (!(change >= -1 && change <= 1)) throw new RangeError('change must be from -1 to 1');
  const budget = { left: limits.pathsMax };
  const graph = indexBySource(edges);
  const byNode = new Map<string, Path[]>();
  for (const path of walk({ graph, start, hopsMax: limits.hopsMax, budget, allows: () => true })) {
    const end = path.nodes.at(-1) ?? start;
    byNode.set(end, [...(byNode.get(end) ?? []), path]);
  }
  const effects = Array.from(byNode, ([node, paths]) => {
    const total = paths.reduce((sum, path) => sum + change * signOf(path) * path.strength, 0);
    const strongest = paths.sort(strongestFirst)[0]?.nodes ?? [];
    return { node, estimate: Math.max(-1, Math.min(1, total)), paths: paths.length, strongest };
  });
  return {
    effects: effects.sort((a, b) => Math.abs(b.estimate) - Math.abs(a.estimate) || compare(a.node, b.node)),
    assumptions,
    truncated: budget.left <= 0,
  };
}

function signOf(path: Path): number {
  const negative = path.edges.filter(
    ({ relation }) => relation !== null && negativeRelations.includes(relation),
  );
  return negative.length % 2 === 0 ? 1 : -1;
}

function causal(edges: readonly MeasuredEdge[]): readonly MeasuredEdge[] {
  return edges.filter(({ type, source, target }) => type === 'causes' && source !== target);
}

type Index = ReadonlyMap<string, readonly MeasuredEdge[]>;

/** Edges by their source, strongest first: what a budget cuts off is the weakest. */
function indexBySource(edges: readonly MeasuredEdge[]): Index {
  const index = new Map<string, MeasuredEdge[]>();
  for (const edge of causal(edges).toSorted(
    (a, b) => b.strength - a.strength || compare(a.target, b.target),
  )) {
    const known = index.get(edge.source);
    if (known === undefined) index.set(edge.source, [edge]);
    else known.push(edge);
  }
  return index;
}

/** The graph turned round: a walk over it goes from effect to cause. */
function indexByTarget(edges: readonly MeasuredEdge[]): Index {
  return indexBySource(edges.map((edge) => ({ ...edge, source: edge.target, target: edge.source })));
}

interface Walk {
  readonly graph: Index;
  readonly start: string;
  readonly hopsMax: number;
  /** Counts down by one for each path, over several walks. */
  readonly budget: { left: number };
  readonly allows: (node: string) => boolean;
  /** Paths that reach it are not followed further. */
  readonly end?: string;
}

/** Every path of one hop or more from `start` without a node twice, shortest first, until the budget is spent. */
function walk({ graph, start, hopsMax, budget, allows, end }: Walk): Path[] {
  const paths: Path[] = [{ nodes: [start], edges: [], strength: 1 }];
  for (const path of paths) {
    const last = path.nodes.at(-1);
    if (path.edges.length === hopsMax || last === undefined || last === end) continue;
    for (const edge of graph.get(last) ?? []) {
      if (path.nodes.includes(edge.target) || !allows(edge.target)) continue;
      if (budget.left-- <= 0) return paths.slice(1);
      paths.push({
        nodes: [...path.nodes, edge.target],
        edges: [...path.edges, edge],
        strength: path.strength * edge.strength,
      });
    }
  }
  return paths.slice(1);
}

/** The strongest path to each node. */
function best(paths: readonly Path[]): Map<string, Path> {
  const strongest = new Map<string, Path>();
  for (const path of paths) {
    const end = path.nodes.at(-1) ?? '';
    if (path.strength > (strongest.get(end)?.strength ?? -1)) strongest.set(end, path);
  }
  return strongest;
}

function strongestFirst(
  a: { readonly strength: number; readonly nodes: readonly string[] },
  b: { readonly strength: number; readonly nodes: readonly string[] },
): number {
  return (
    b.strength - a.strength ||
    a.nodes.length - b.nodes.length ||
    compare(a.nodes.join('\n'), b.nodes.join('\n'))
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
