import {
  findName,
  KNOWN_NAMES,
  KNOWN_NAMES_LOWER,
  NAME_SHIFT,
  SPELLING_CANONICAL,
  SPELLING_LOWER,
  SPELLING_OTHER,
} from '../../../../http/field-names';
import { fieldName, fieldValue, headText, rawHeadersOf } from '../../../../http/head-strings';
import { bytes, newReader } from './reading';

const find = (name: string): [number, number] => {
  const id = findName(bytes(`..${name}`), 2, name.length);
  return [id >> NAME_SHIFT, id & 3];
};

describe('known field names', () => {
  const known = KNOWN_NAMES.slice(1).map((name, i) => [name, i + 1] as const);

  test.each(known)('%s, in every spelling', (name, number) => {
    expect(find(name)).toEqual([number, SPELLING_CANONICAL]);
    expect(find(name.toLowerCase())).toEqual([number, SPELLING_LOWER]);
    const upper = name.toUpperCase();
    expect(find(upper)).toEqual([number, upper === name ? SPELLING_CANONICAL : SPELLING_OTHER]);
  });

  test.each(known)('nothing that differs from %s in a character', (name) => {
    for (let i = 0; i < name.length; i++) {
      const other = `${name.slice(0, i)}!${name.slice(i + 1)}`;
      expect(find(other)[0]).toBe(0);
    }
    expect(find(`${name}x`)[0]).toBe(0);
    expect(KNOWN_NAMES.includes(name.slice(0, -1)) || find(name.slice(0, -1))[0] === 0).toBe(true);
  });

  test('each is there once', () => {
    expect(new Set(KNOWN_NAMES_LOWER).size).toBe(KNOWN_NAMES.length);
  });
});

describe('strings of a head, from one decoding', () => {
  const text =
    'GET / HTTP/1.1\r\nHost: a\r\ncontent-type: b\r\nACCEPT: c\r\nX-Own: d\r\nX-OWN:\r\nCookie: \xe9\r\n\r\n';

  test('names as sent, names in lower case, values', () => {
    let raw: string[] = [];
    let values: string[] = [];
    const packet = bytes(text);
    newReader(
      {},
      {
        onBegin() {},
        onHead(head) {
          const all = headText(head);
          expect(all).toBe(text);
          raw = rawHeadersOf(head, all);
          const each = Array.from({ length: head.fieldCount }, (_, i) => i);
          values = each.map((i) => fieldValue(head, all, i));
          expect(each.map((i) => fieldName(head, all, i))).toEqual(raw.filter((_, i) => i % 2 === 0));
          return 0;
        },
        onBody() {},
        onTrailers() {},
        onComplete() {},
      },
    ).read(packet, 0, packet.length);
    expect(raw).toEqual(['Host', 'a', 'content-type', 'b', 'ACCEPT', 'c', 'X-Own', 'd', 'X-OWN', '', 'Cookie', 'é']);
    expect(values).toEqual(['a', 'b', 'c', 'd', '', 'é']);
  });
});
