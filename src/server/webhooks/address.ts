import { BlockList, isIP } from 'node:net';
import { ServerFault } from '../fault.ts';

/** Addresses that say who a machine is, or belong to nobody in particular: nothing that is reported goes there unless it is wanted. */
const guarded = new BlockList();
for (const [network, bits] of [
  ['169.254.0.0', 16], // link-local (RFC 3927): the metadata services of most clouds
  ['0.0.0.0', 8],
  ['100.100.100.200', 32], // Alibaba Cloud's metadata
  ['192.0.0.192', 32], // Oracle Cloud's metadata
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4],
] as const)
  guarded.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [
  ['fe80::', 10], // link-local (RFC 4291)
  ['fd00:ec2::254', 128], // Amazon's metadata
  ['ff00::', 8],
  ['::', 128],
  ['64:ff9b::a9fe:0', 112], // link-local behind NAT64
] as const)
  guarded.addSubnet(network, bits, 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * An address that events may be sent to. Without TLS only to this machine itself.
 *
 * @throws ServerFault server/bad-request
 */
export function parseAddress(text: string, allowLinkLocal: boolean): URL {
  const bad = (why: string, next?: string) => new ServerFault('server/bad-request', `this address ${why}`, { next });
  if (!URL.canParse(text)) throw bad('is no URL', 'give https://HOST/PATH');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw bad('holds a password', 'leave it out: receivers know us by the signature');
  }
  if (url.hash !== '') throw bad('has a fragment, which is never sent');
  const host = hostOf(url);
  if (url.protocol === 'http:') {
    if (host !== 'localhost' && !isLoopback(host)) throw bad('is not https', 'use https://');
  } else if (url.protocol !== 'https:') throw bad(`is of the kind ${url.protocol}`, 'use https://');
  if (isIP(host) !== 0 && !mayReach(host, url, allowLinkLocal)) {
    throw bad('is link-local, or one of a metadata service', 'say allowLinkLocal if that is meant');
  }
  return url;
}

/**
 * Whether a connection to an address may be made, looked at when it is made: a name may mean another machine by then. This machine itself
 * is reached only where the URL says so.
 */
export function mayReach(address: string, url: URL, allowLinkLocal: boolean): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
  const family = isIP(plain) === 4 ? 'ipv4' : 'ipv6';
  if (isIP(plain) === 0) return false;
  if (isLoopback(plain)) {
    const host = hostOf(url);
    return host === 'localhost' || isLoopback(host);
  }
  return allowLinkLocal || !guarded.check(plain, family);
}

/** An address as people and logs may see it: what stands behind the path may be a secret. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}${url.search === '' ? '' : '?...'}`;
}

function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** A literal of IPv6 without its brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}
