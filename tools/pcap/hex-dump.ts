import { type Bytes, u8 } from '../../stack/base/bytes';

const ROW_BYTES = 16;

/** The bytes as `tcpdump -XX` shows them: offset, sixteen bytes in pairs, printable characters. */
export function hexDump(b: Bytes): string {
  let text = '';
  for (let at = 0; at < b.length; at += ROW_BYTES) {
    const end = Math.min(b.length, at + ROW_BYTES);
    let digits = '';
    let characters = '';
    for (let i = at; i < end; i++) {
      digits += u8(b, i).toString(16).padStart(2, '0') + ((i & 1) === 1 ? ' ' : '');
      characters += u8(b, i) >= 0x20 && u8(b, i) < 0x7f ? String.fromCharCode(u8(b, i)) : '.';
    }
    text += `\t0x${at.toString(16).padStart(4, '0')}:  ${digits.padEnd(40)} ${characters}\n`;
  }
  return text;
}
