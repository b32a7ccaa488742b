import { defineFlags } from '../../../../stack/base/flags';

class Base {
  bits = 0;
  declare one: boolean;
  declare two: boolean;
}
const next = defineFlags(Base.prototype, ['one', 'two']);

class Derived extends Base {
  declare three: boolean;
}
const last = defineFlags(Derived.prototype, ['three'], next);

test('booleans are false at first, and each is its own bit, those of a derived class behind', () => {
  const d = new Derived();
  expect([d.one, d.two, d.three, d.bits]).toEqual([false, false, false, 0]);
  d.three = true;
  d.one = true;
  expect([d.one, d.two, d.three, d.bits]).toEqual([true, false, true, 0b101]);
  d.one = false;
  d.two = true;
  d.two = true;
  expect([d.one, d.two, d.three, d.bits]).toEqual([false, true, true, 0b110]);
  expect([next, last]).toEqual([2, 3]);
});

test('the last bit of an integer is one like the others', () => {
  class Full {
    bits = 0;
    declare top: boolean;
  }
  expect(defineFlags(Full.prototype, ['top'], 31)).toBe(32);
  const full = new Full();
  full.top = true;
  expect([full.top, full.bits]).toEqual([true, 1 << 31]);
  full.top = false;
  expect([full.top, full.bits]).toEqual([false, 0]);
});
