import { existsSync, readFileSync } from 'node:fs';
import { defaultHost } from '../../../net/default-host';
import { loopbackOf } from '../../../net/hosts-table';

describe('what a table of names says of localhost', () => {
  test.each([
    ['127.0.0.1 localhost', ['127.0.0.1']],
    ['127.0.0.1\tlocalhost\n::1 \t localhost ip6-localhost ip6-loopback\n', ['127.0.0.1', '::1']],
    ['::1 ip6-localhost LOCALHOST # another\n127.0.0.1 localhost.localdomain localhost', ['127.0.0.1', '::1']],
    ['127.0.0.1 localhost\n127.0.0.1 localhost vm\n127.0.1.1 vm', ['127.0.0.1']],
    ['# 127.0.0.1 localhost\n10.0.0.1 localhost\nnonsense localhost\n\n127.0.0.1', []],
    ['', []],
  ])('%j', (table, addresses) => {
    expect(loopbackOf('localhost', table)).toEqual(addresses);
  });
});

test('the default host goes by the table of the machine', () => {
  const table = existsSync('/etc/hosts') ? readFileSync('/etc/hosts', 'utf8') : '';
  const addresses = loopbackOf('localhost', table);
  expect(defaultHost().names.get('localhost')).toEqual(addresses.length === 0 ? ['127.0.0.1', '::1'] : addresses);
});
