import { hostSockets, type SocketEntry } from '../../../../tools/ss/entries';
import { parseFilter } from '../../../../tools/ss/filter';
import { internalsText, rateText, spanText, timerText } from '../../../../tools/ss/internals';
import { STATES_ALL } from '../../../../tools/ss/states';
import { processText, socketTable } from '../../../../tools/ss/table';
import { connectedPair } from './pair';

const entry = (more: Partial<SocketEntry> = {}): SocketEntry => ({
  netid: 'tcp',
  state: 'ESTAB',
  recvQ: 0,
  sendQ: 0,
  local: { address: '10.0.0.1', port: 40_000 },
  peer: { address: '10.0.0.2', port: 80 },
  id: 7,
  timer: null,
  memory: null,
  congestion: 'cubic',
  beliefs: null,
  info: {},
  ...more,
});

describe('the line of ss -i', () => {
  const info = {
    tcpi_state: 1,
    tcpi_options: 7,
    tcpi_snd_wscale: 10,
    tcpi_rcv_wscale: 8,
    tcpi_rto: 204_000,
    tcpi_rtt: 10_313,
    tcpi_rttvar: 7314,
    tcpi_ato: 40_000,
    tcpi_snd_mss: 1448,
    tcpi_pmtu: 1500,
    tcpi_rcv_mss: 536,
    tcpi_advmss: 1448,
    tcpi_snd_cwnd: 11,
    tcpi_snd_ssthresh: 9,
    tcpi_bytes_sent: 134_464,
    tcpi_bytes_retrans: 1448,
    tcpi_bytes_acked: 100_000,
    tcpi_segs_out: 4,
    tcpi_segs_in: 5,
    tcpi_last_data_sent: 304,
    tcpi_pacing_rate: 0xffff_ffff,
    tcpi_delivery_rate: 3_110_056,
    tcpi_delivered: 5,
    tcpi_delivery_rate_app_limited: 1,
    tcpi_busy_time: 48_900,
    tcpi_rwnd_limited: 12_225,
    tcpi_unacked: 2,
    tcpi_total_retrans: 1,
    tcpi_lost: 1,
    tcpi_reordering: 3,
    tcpi_min_rtt: 8193,
    tcpi_snd_wnd: 65_536,
  };

  test('keys, order and units are those of iproute2', () => {
    expect(internalsText(entry({ info }), false)).toBe(
      'ts sack cubic wscale:10,8 rto:204 rtt:10.313/7.314 ato:40 mss:1448 pmtu:1500 rcvmss:536 advmss:1448 cwnd:11 ' +
        'ssthresh:9 bytes_sent:134464 bytes_retrans:1448 bytes_acked:100000 segs_out:4 segs_in:5 send 12.4Mbps ' +
        'lastsnd:304 delivery_rate 24.9Mbps delivered:5 app_limited busy:48ms rwnd_limited:12ms(25.0%) unacked:2 ' +
        'retrans:0/1 lost:1 minrtt:8.193 snd_wnd:65536',
    );
  });

  test('marks, disorder, and what BBR believes', () => {
    const beliefs = { bandwidth: 12_500_000, minRtt: 20_113, pacingGain: 1.25, cwndGain: 2 };
    const troubled = { ...info, tcpi_options: 31, tcpi_delivered_ce: 3, tcpi_rcv_ooopack: 17 };
    const line = internalsText(entry({ info: troubled, congestion: 'bbr', beliefs }), false);
    expect(line).toMatch(/^ts sack ecn ecnseen bbr wscale:10,8 /);
    expect(line).toContain(' segs_in:5 bbr:(bw:100Mbps,mrtt:20.113,pacing_gain:1.25,cwnd_gain:2) send ');
    expect(line).toContain(' delivered:5 delivered_ce:3 app_limited ');
    expect(line).toContain(' minrtt:8.193 rcv_ooopack:17 snd_wnd:65536');
  });

  test('with -n rates are exact', () => {
    expect(internalsText(entry({ info }), true)).toContain('delivery_rate 24880448bps');
  });

  test('what is unknown or at its default is not shown', () => {
    const quiet = {
      tcpi_rto: 3_000_000,
      tcpi_min_rtt: 0xffff_ffff,
      tcpi_snd_ssthresh: 0x7fff_ffff,
      tcpi_reordering: 3,
    };
    expect(internalsText(entry({ info: quiet }), false)).toBe('cubic');
    expect(internalsText(entry({ info: null }), false)).toBe('');
  });

  test('a listener shows neither its queue as lost packets nor reordering', () => {
    const listener = { tcpi_state: 10, tcpi_unacked: 3, tcpi_sacked: 511 };
    expect(internalsText(entry({ info: listener, congestion: '' }), false)).toBe('');
  });

  test.each([
    [999, '999bps'],
    [460_000, '460kbps'],
    [924_742_847, '925Mbps'],
    [84_562_580_645, '84.6Gbps'],
  ])('%d bit/s: %s', (bits, text) => expect(rateText(bits, false)).toBe(text));

  test.each([
    [0, '000ms'],
    [204, '204ms'],
    [4992, '4.992ms'],
    [12_345, '12sec'],
    [119_000, '1min59sec'],
    [7_200_000, '120min'],
    [60_000, '1min'],
  ])('a timer of %d ms: %s', (ms, text) => expect(spanText(ms)).toBe(text));

  test('a timer', () => {
    expect(timerText({ name: 'on', ms: 204, count: 2 })).toBe('timer:(on,204ms,2)');
  });
});

describe('the table', () => {
  const rows = [
    entry({ local: { address: '*', port: 80 }, peer: { address: '*', port: 0 }, state: 'LISTEN', sendQ: 511 }),
    entry({ local: { address: 'fd00::1', port: 4 }, recvQ: 12, timer: { name: 'persist', ms: 5, count: 1 } }),
  ].map((one) => ({ entry: one, process: processText('serve', 9) }));

  test('addresses end where their ports begin', () => {
    expect(socketTable(rows, true, {})).toBe(
      'Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n' +
        'tcp   LISTEN 0      511                *:80              *:*\n' +
        'tcp   ESTAB  12     0          [fd00::1]:4        10.0.0.2:80\n',
    );
  });

  test('what stands beside, and within', () => {
    const options = { timers: true, extended: true, processes: true, memory: true, info: true, noHeader: true };
    const row = {
      ...rows[1]!,
      entry: { ...rows[1]!.entry, memory: { r: 1, rb: 2, t: 3, tb: 4, w: 5 }, info: { tcpi_unacked: 1 } },
    };
    expect(socketTable([row], false, options)).toBe(
      'ESTAB 12 0 [fd00::1]:4 10.0.0.2:80 users:(("serve",pid=9)) timer:(persist,005ms,1) sk:7\n' +
        '\t skmem:(r1,rb2,t3,tb4,f0,w5,o0,bl0,d0) cubic unacked:1 reordering:0\n',
    );
    expect(socketTable([row], false, { info: true, oneline: true, noHeader: true })).toBe(
      'ESTAB 12 0 [fd00::1]:4 10.0.0.2:80 cubic unacked:1 reordering:0\n',
    );
    expect(socketTable([], false, { noHeader: true })).toBe('');
  });

  test('a name cannot speak to the terminal', () => {
    expect(processText('a"\u001b[2J', 1)).toBe('users:(("a\\x1b[2J",pid=1))');
  });
});

describe('the filter', () => {
  const web = entry();
  const six = entry({ local: { address: 'fd00::1', port: 443 }, peer: { address: 'fd00::2', port: 5000 } });

  test.each<[string, boolean, boolean]>([
    ['', true, true],
    ['dport = :80', true, false],
    ['dport eq 80', true, false],
    ['dport :80', true, false],
    ['sport != :443', true, false],
    ['sport gt 1000', true, false],
    ['sport <= 443', false, true],
    ['dst 10.0.0.2', true, false],
    ['dst 10.0.0.0/24', true, false],
    ['dst 10.0.0.2:81', false, false],
    ['dst = 10.0.0.2:80', true, false],
    ['src :443', false, true],
    ['src fd00::1', false, true],
    ['src fd00::/64', false, true],
    ['dst [fd00::2]:5000', false, true],
    ['src *:443', false, true],
    ['not dport = :80', false, true],
    ['! dport = :80', false, true],
    ['( sport = :443 or dport = :80 )', true, true],
    ['(sport=:443 or dport=:80) and src 10.0.0.1', true, false],
    ['sport = :443 or dport = :80 and src 10.0.0.9', false, true],
    ['sport = :https or dport = http and src 10.0.0.9', false, true],
    ['dport = :80 src 10.0.0.1', true, false],
  ])('%s', (text, first, second) => {
    const { test } = parseFilter(text.split(' '));
    expect([test(web), test(six)]).toEqual([first, second]);
  });

  test('states are named, grouped and excluded', () => {
    const states = (text: string): string[] | null => {
      const found = parseFilter(text.split(' ')).states;
      return found === null ? null : [...found];
    };
    expect(states('dport = :80')).toBeNull();
    expect(states('state established state listening dport = :80')).toEqual(['ESTAB', 'LISTEN']);
    expect(states('exclude time-wait')).toEqual(STATES_ALL.filter((state) => state !== 'TIME-WAIT'));
    expect(states('state bucket')).toEqual(['TIME-WAIT', 'SYN-RECV']);
  });

  test.each([
    ['state', 'the filter ends where the name of a state was expected'],
    ['state nowhere', 'there is no state "nowhere"'],
    ['sport', 'the filter ends where a port was expected'],
    ['sport = :x', '":x" is not a port'],
    ['sport = 70000', '"70000" is not a port'],
    ['dst nowhere', '"nowhere" is not an address'],
    ['dst 10.0.0.0/99', 'is not an address'],
    ['( sport = 1', 'the filter ends where ")" was expected'],
    ['sport = 1 )', 'the filter makes no sense from ")" on'],
    ['constructor 1', '"constructor" is not understood'],
    ['state constructor', 'there is no state "constructor"'],
  ])('%s: refused', (text, message) => {
    expect(() => parseFilter(text.split(' '))).toThrow(message);
  });
});

test('a host tells of its listeners, connections and UDP sockets', async () => {
  const pair = await connectedPair();
  const udp = pair.server.dgram.createSocket('udp4').bind(53);
  await new Promise((resolve) => udp.once('listening', resolve));
  const entries = [...hostSockets(pair.server)];
  expect(entries.map(({ netid, state }) => [netid, state])).toEqual([
    ['tcp', 'LISTEN'],
    ['tcp', 'ESTAB'],
    ['udp', 'UNCONN'],
  ]);
  expect(entries[1]).toMatchObject({
    local: { address: '10.0.0.2', port: 80 },
    peer: { address: '10.0.0.1' },
    congestion: 'cubic',
    info: { tcpi_state: 1, tcpi_bytes_received: 5, tcpi_bytes_sent: 5, tcpi_advmss: 1460 },
  });
  expect(entries[1]!.memory!.rb).toBeGreaterThan(0);
  expect(entries[2]!.local).toEqual({ address: '0.0.0.0', port: 53 });
  // Plain data: nothing is lost on the way to another process.
  expect(JSON.parse(JSON.stringify(entries))).toEqual(entries);
  pair.close();
});

test('what BBR believes is told as well', async () => {
  const pair = await connectedPair({ congestion: 'bbr' });
  const [, c] = [...hostSockets(pair.server)];
  expect(c).toMatchObject({ congestion: 'bbr', beliefs: { pacingGain: 739 / 256, cwndGain: 739 / 256 } });
  expect(internalsText(c!, false)).toMatch(
    / bbr:\(bw:\d+(\.\d+)?[kMG]?bps,mrtt:[\d.e-]+,pacing_gain:2.88672,cwnd_gain:2.88672\) /,
  );
  pair.close();
});
