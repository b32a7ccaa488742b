import { established, Harness } from './harness';

describe('the harness', () => {
  test('opens, sends and sees acknowledgments', () => {
    const t = established();
    t.write(3000);
    t.tx('P. 1:3001(3000) ack 1');
    t.after(100).rx('. 1:1(0) ack 3001 win 257').txNothing();
    expect(t.c.packetsOut).toBe(0);
  });

  test('shows timestamps as milliseconds of the test', () => {
    const t = established({}, { syn: 'mss 1000,sackOK,TS val 200 ecr 0,nop,wscale 7' });
    t.after(50).write(10);
    t.tx('P. 1:11(10) ack 1 <nop,nop,TS val 1150 ecr 300>');
    expect(() => {
      t.after(50).rx('. 1:1(0) ack 11 win 257 <nop,nop,TS val 400 ecr 1150>').write(10);
      t.tx('P. 11:21(10) ack 1 <nop,nop,TS val 1250 ecr 400>');
    }).toThrow('TS val 1200 ecr 400');
  });

  test('is strict about time, content and silence', () => {
    const t = established();
    t.write(10);
    expect(() => t.txNothing()).toThrow('sent at 100 ms: > P. 1:11(10) ack 1');
    expect(() => t.tx('P. 1:10(9) ack 1')).toThrow('10 bytes of payload, not 9');
    expect(() => t.tx('P. 1:11(10) ack 1')).toThrow('nothing was sent');
    t.c.noDelay = true;
    t.write(10).after(5);
    expect(() => t.tx('P. 11:21(10) ack 1')).toThrow('was sent at 100 ms, not at 105 ms');
  });

  test('cuts super-segments as a device would', () => {
    const t = established({ tso: true });
    t.write(3500);
    for (const line of ['. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1', '. 2001:3001(1000) ack 1']) t.tx(line);
    t.tx('P. 3001:3501(500) ack 1').txNothing();
  });

  test('connects', () => {
    const t = new Harness().connect();
    t.tx('S 0:0(0) <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 8>');
    t.after(30).rx('S. 0:0(0) ack 1 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 8>');
    t.tx('. 1:1(0) ack 1').txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });
});
