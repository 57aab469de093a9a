// Every way to write an address that is not public, and every way in which one that was public may become another.

import { request } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createGuardedLookup,
  type FindAddresses,
  isPublicAddress,
  judgeHost,
  judgeUrl,
  type TargetPolicy,
} from './public-address.ts';
import { privateHosts, reboundAddresses } from './private-hosts.ts';

const policy: TargetPolicy = { ports: [443, 8443], allowLoopback: false, production: true };
const development: TargetPolicy = { ...policy, allowLoopback: true, production: false };

test('refuses every spelling of an address that is not public', () => {
  assert.ok(privateHosts.length >= 40);
  for (const host of privateHosts)
    assert.is(judgeUrl(`https://${host}/hook`, policy)?.code, 'address_refused', host);
});

test('lets public addresses and names pass', () => {
  for (const host of [
    '8.8.8.8',
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.0.1',
    '[2606:4700::1111]',
    'example.com',
  ])
    assert.is(judgeUrl(`https://${host}/hook`, policy), undefined, host);
  assert.is(judgeUrl('https://example.com:8443/hook?x=1', policy), undefined);
});

test('refuses other schemes, ports and users', () => {
  const cases = {
    'http://example.com/': 'https_required',
    'ftp://example.com/': 'https_required',
    'file:///etc/passwd': 'https_required',
    'https://example.com:22/': 'port_refused',
    'https://example.com:6379/': 'port_refused',
    'https://a:b@example.com/': 'userinfo',
    'https://example.com@127.0.0.1/': 'userinfo',
    'https:///': 'malformed',
    'https://[::1/': 'malformed',
    'https://256.256.256.256/': 'malformed',
    '//example.com/': 'malformed',
    [`https://example.com/${'a'.repeat(2048)}`]: 'too_big',
  };
  for (const [url, code] of Object.entries(cases)) assert.is(judgeUrl(url, policy)?.code, code, url);
});

test('lets only this machine pass besides, where development asks for it', () => {
  for (const url of [
    'http://127.0.0.1:3001/',
    'https://127.1:9/',
    'http://[::1]:80/',
    'http://localhost:3001/hook',
  ])
    assert.is(judgeUrl(url, development), undefined, url);
  for (const url of [
    'http://10.0.0.1/',
    'https://169.254.169.254/',
    'http://example.com/',
    'https://[::ffff:10.0.0.1]/',
  ])
    assert.ok(judgeUrl(url, development), url);
});

test('tells where it can be set that this machine may be reached, and nowhere else', async () => {
  const setting = /WEBHOOK_ALLOW_LOOPBACK=true/;
  const shut: TargetPolicy = { ...development, allowLoopback: false };
  const rebound = new URL('https://hook.example/');
  for (const host of ['127.0.0.1', '0x7f.1', '[::1]', 'localhost', 'api.localhost']) {
    assert.match(judgeUrl(`http://${host}:4000/`, shut)?.detail ?? '', setting, host);
    assert.not.match(judgeUrl(`http://${host}:4000/`, policy)?.detail ?? '', setting, host);
  }
  assert.match((await judgeHost(rebound, shut, resolver(['127.0.0.1'])))?.detail ?? '', setting);
  for (const address of ['10.0.0.1', '169.254.169.254']) {
    assert.not.match(judgeUrl(`https://${address}/`, shut)?.detail ?? '', setting);
    const mixed = await judgeHost(rebound, shut, resolver(['127.0.0.1', address]));
    assert.is(mixed?.detail, 'Is not the name of a public server');
  }
});

test('takes nothing for public that is no address', () => {
  for (const text of ['', 'example.com', '1.2.3', '8.8.8.8.', '::ffff:8.8.8.8', 'fe80::1%eth0'])
    assert.is(isPublicAddress(text), false, text);
});

/** A resolver that answers with each of `answers` in turn, and with the last from then on. */
function resolver(...answers: readonly (readonly string[])[]): FindAddresses {
  let turn = 0;
  return (_host, found) => {
    const addresses = answers[Math.min(turn++, answers.length - 1)] ?? [];
    found(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };
}

test('judges a name by all of its addresses', async () => {
  const url = new URL('https://hook.example/');
  assert.is(await judgeHost(url, policy, resolver(['8.8.8.8', '2606:4700::1111'])), undefined);
  assert.ok(await judgeHost(url, policy, resolver(['8.8.8.8', '10.0.0.1'])));
  assert.ok(await judgeHost(url, policy, resolver(['::ffff:10.0.0.1'])));
});

test('connects to no private address, whatever a name says the second time', async () => {
  let reached = 0;
  const canary = createTcpServer((socket) => {
    reached += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  const address = canary.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  for (const second of reboundAddresses) {
    const find = resolver(['8.8.8.8'], [second]);
    const url = new URL(`https://rebound.example:${port}/`);
    const open = { ...policy, ports: [port] };
    assert.is(judgeUrl(url.href, open) ?? (await judgeHost(url, open, find)), undefined);
    const error = await new Promise<Error>((resolve) => {
      request(url, { lookup: createGuardedLookup(open, find) })
        .on('error', resolve)
        .end();
    });
    assert.match(error.message, 'not public', second);
  }
  // The canary sings when it is reached at all.
  await new Promise<void>((resolve) => {
    const find = resolver(['127.0.0.1']);
    const lookup = createGuardedLookup(development, find);
    request(`https://rebound.example:${port}/`, { lookup })
      .on('error', () => resolve())
      .end();
  });
  assert.is(reached, 1);
  canary.close();
});

test.run();
