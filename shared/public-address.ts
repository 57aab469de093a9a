// Where webhooks may go: public addresses only, checked when a URL is registered and again for every connection, so
// that a name cannot change its mind in between. Everything that is not plainly public is refused.

import { lookup, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import type { Config } from './config.ts';
import { webhookLimits } from './webhook.ts';

/** IANA's special-purpose registry of IPv4, and the one public address that a cloud gives its metadata server. */
const specialIPv4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT; also a cloud's metadata
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's host
  '169.254.0.0/16', // link-local; metadata of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relay
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved and broadcast
];

/**
 * Of IPv6 only 2000::/3 is public at all, which leaves out loopback, mapped and compatible IPv4, NAT64 (64:ff9b::),
 * unique local, link-local, site-local and multicast. These parts of it are special, or hide an IPv4 address.
 */
const specialIPv6 = [
  '2001::/23', // protocol assignments, Teredo among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
];

const refused = toBlockList([...specialIPv4, ...specialIPv6]);
const publicIPv6 = toBlockList(['2000::/3']);
const loopback = toBlockList(['127.0.0.0/8', '::1/128']);

function toBlockList(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address = '', prefix] = subnet.split('/');
    list.addSubnet(address, Number(prefix), address.includes(':') ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** What the configuration lets webhooks do. */
export interface TargetPolicy {
  /** Ports of https that may be reached. */
  readonly ports: readonly number[];
  /** For development: any port of this machine, by http as well. */
  readonly allowLoopback: boolean;
  /** Where loopback cannot be allowed, so a refusal does not tell how. */
  readonly production: boolean;
}

export function readTargetPolicy(
  config: Pick<Config, 'WEBHOOK_PORTS' | 'WEBHOOK_ALLOW_LOOPBACK' | 'NODE_ENV'>,
): TargetPolicy {
  return {
    ports: config.WEBHOOK_PORTS.split(',').map(Number),
    allowLoopback: config.WEBHOOK_ALLOW_LOOPBACK,
    production: config.NODE_ENV === 'production',
  };
}

/** @param address as DNS or the URL parser writes it */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !refused.check(address, 'ipv4');
  if (family === 6) return publicIPv6.check(address, 'ipv6') && !refused.check(address, 'ipv6');
  return false;
}

function isAllowedAddress(address: string, policy: TargetPolicy): boolean {
  if (isPublicAddress(address)) return true;
  return policy.allowLoopback && isLoopback(address);
}

function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Why a URL is refused; undefined if it is not. A name is judged when it is resolved. */
export interface Refusal {
  readonly code: 'malformed' | 'too_big' | 'userinfo' | 'https_required' | 'port_refused' | 'address_refused';
  readonly detail: string;
}

/**
 * Judges a URL without asking anybody. The parser has read every spelling of an IPv4 address by then (decimal,
 * hexadecimal, octal, short), so `hostname` is an address in its plain form, or a name.
 */
export function judgeUrl(text: string, policy: TargetPolicy): Refusal | undefined {
  if (text.length > webhookLimits.urlCharactersMax)
    return { code: 'too_big', detail: `Has more than ${webhookLimits.urlCharactersMax} characters` };
  if (!URL.canParse(text)) return { code: 'malformed', detail: 'Is not a URL' };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    return { code: 'userinfo', detail: 'Must not have a user or password' };
  const host = plainHost(url);
  const address = isIP(host) !== 0;
  if (address && !isAllowedAddress(host, policy))
    return refuseAddress('Is not the address of a public server', isLoopback(host), policy);
  const here = policy.allowLoopback && (address ? !isPublicAddress(host) : isLocalName(host));
  if (!address && isLocalName(host) && !policy.allowLoopback)
    return refuseAddress('Is not the name of a public server', true, policy);
  if (url.protocol !== 'https:' && !(here && url.protocol === 'http:'))
    return { code: 'https_required', detail: 'Must begin with https://' };
  const port = url.port === '' ? 443 : Number(url.port);
  if (!here && !policy.ports.includes(port))
    return { code: 'port_refused', detail: `Must have the port ${policy.ports.join(' or ')}` };
  return undefined;
}

function refuseAddress(why: string, here: boolean, { production, allowLoopback }: TargetPolicy): Refusal {
  const remedy = 'for development on this machine set WEBHOOK_ALLOW_LOOPBACK=true';
  const detail = here && !production && !allowLoopback ? `${why}; ${remedy}` : why;
  return { code: 'address_refused', detail };
}

/** The host of a URL as sockets take it: IPv6 without its brackets. */
export function plainHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** Names that resolvers answer with this machine, whatever DNS says (RFC 6761), with or without the root's dot. */
function isLocalName(host: string): boolean {
  return /^(.+\.)?localhost\.?$/.test(host);
}

/** What a socket is told when a name has an address that is refused. */
export class AddressRefused extends Error {
  readonly code = 'ERR_ADDRESS_REFUSED';
}

/** Finds all addresses of a name, as `dns.lookup` does with `all`. */
export type FindAddresses = (
  host: string,
  found: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;

export const findAddresses: FindAddresses = (host, found) =>
  lookup(host, { all: true }, (error, addresses) => found(error, addresses));

/**
 * The `lookup` of a socket: it connects to the very addresses that were judged. One that is refused refuses the name.
 * A socket asks it for names only; judge literal addresses with `judgeUrl` before.
 */
export function createGuardedLookup(
  policy: TargetPolicy,
  find: FindAddresses = findAddresses,
): LookupFunction {
  return (host, options, callback) => {
    find(host, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null) return callback(error, '');
      if (first === undefined)
        return callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
      if (!addresses.every(({ address }) => isAllowedAddress(address, policy)))
        return callback(new AddressRefused('an address of this name is not public'), '');
      if (options.all === true) return callback(null, [...addresses]);
      callback(null, first.address, first.family);
    });
  };
}

/** Judges the addresses that a name has at the moment; a name without one is judged when it has one. */
export function judgeHost(
  url: URL,
  policy: TargetPolicy,
  find: FindAddresses = findAddresses,
): Promise<Refusal | undefined> {
  const host = plainHost(url);
  if (isIP(host) !== 0) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    find(host, (error, addresses) => {
      const refusedOnes = (addresses ?? []).filter(({ address }) => !isAllowedAddress(address, policy));
      if (error !== null || refusedOnes.length === 0) return resolve(undefined);
      const here = refusedOnes.every(({ address }) => isLoopback(address));
      resolve(refuseAddress('Is not the name of a public server', here, policy));
    });
  });
}
