// Communities by the Louvain method: Blondel, Guillaume, Lambiotte and Lefebvre, Fast unfolding of communities in large
// networks, J. Stat. Mech. (2008) P10008; modularity after Newman and Girvan, Phys. Rev. E 69 (2004) 026113. Nodes are
// taken in the order of their keys instead of at random, so that the same graph gives the same division.

/** An undirected tie; several ties of the same two add up. */
export interface Tie {
  readonly a: string;
  readonly b: string;
  readonly weight: number;
}

/** Neighbours of each node with the weight of the tie. A node's tie to itself holds what is inside it, counted twice. */
type Network = readonly ReadonlyMap<number, number>[];

/** A move must gain more than rounding can feign, or it might be taken back for ever. */
const gainMin = 1e-12;

/** @returns the groups, each sorted, in the order of their first members, and the modularity of the division. */
export function findCommunities(ties: readonly Tie[]): { groups: string[][]; modularity: number } {
  const names = [...new Set(ties.flatMap(({ a, b }) => [a, b]))].sort();
  let network = build(names, ties);
  let groupOf = names.map((_, index) => index);
  for (;;) {
    const moved = moveNodes(network);
    const groups = new Set(moved).size;
    groupOf = groupOf.map((group) => moved[group] ?? group);
    if (groups === network.length) break;
    network = merge(network, moved, groups);
  }
  const groups = Array.from({ length: network.length }, (): string[] => []);
  for (const [index, group] of groupOf.entries()) groups[group]?.push(names[index] ?? '');
  return { groups: groups.filter((group) => group.length > 0), modularity: modularityOf(network) };
}

function build(names: readonly string[], ties: readonly Tie[]): Network {
  const indexOf = new Map(names.map((name, index) => [name, index]));
  const network = names.map(() => new Map<number, number>());
  for (const { a, b, weight } of ties) {
    const [i, j] = [indexOf.get(a) ?? 0, indexOf.get(b) ?? 0];
    add(network[i], j, weight);
    add(network[j], i, weight);
  }
  return network;
}

function add(sums: Map<number, number> | undefined, key: number, weight: number): void {
  sums?.set(key, (sums.get(key) ?? 0) + weight);
}

const sum = (weights: Iterable<number>): number => [...weights].reduce((total, weight) => total + weight, 0);

/** First phase: each node joins the group in which modularity gains most, until none moves. Groups are numbered anew. */
function moveNodes(network: Network): number[] {
  const degrees = network.map((ties) => sum(ties.values()));
  const total = sum(degrees);
  const groupOf = network.map((_, node) => node);
  const groupDegree = [...degrees];
  for (let isMoving = total > 0; isMoving; ) {
    isMoving = false;
    for (const [node, ties] of network.entries()) {
      const [degree, home] = [degrees[node] ?? 0, groupOf[node] ?? node];
      const toGroup = new Map<number, number>([[home, 0]]);
      for (const [other, weight] of ties) if (other !== node) add(toGroup, groupOf[other] ?? other, weight);
      groupDegree[home] = (groupDegree[home] ?? 0) - degree;
      const gain = (group: number) =>
        (toGroup.get(group) ?? 0) - ((groupDegree[group] ?? 0) * degree) / total;
      let best = home;
      for (const group of [...toGroup.keys()].sort((a, b) => a - b)) {
        if (gain(group) > gain(best) + gainMin) best = group;
      }
      groupDegree[best] = (groupDegree[best] ?? 0) + degree;
      groupOf[node] = best;
      isMoving ||= best !== home;
    }
  }
  const numbers = new Map([...new Set(groupOf)].map((group, index) => [group, index]));
  return groupOf.map((group) => numbers.get(group) ?? 0);
}

/** Second phase: each group becomes one node. */
function merge(network: Network, groupOf: readonly number[], groups: number): Network {
  const merged = Array.from({ length: groups }, () => new Map<number, number>());
  for (const [node, ties] of network.entries()) {
    for (const [other, weight] of ties) add(merged[groupOf[node] ?? 0], groupOf[other] ?? 0, weight);
  }
  return merged;
}

/** Modularity of the division in which every node is a group of its own. */
function modularityOf(network: Network): number {
  const total = sum(network.flatMap((ties) => [...ties.values()]));
  if (total === 0) return 0;
  return sum(network.map((ties, node) => (ties.get(node) ?? 0) / total - (sum(ties.values()) / total) ** 2));
}
