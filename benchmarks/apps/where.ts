import * as kernelHttp from 'node:http';
import * as kernelNet from 'node:net';
import { openTun } from '../../device/tun';
import { createHttp } from '../../http';
import { createNet } from '../../net';
import { createHost } from '../../net/host';

/** The modules that an application runs on, and the address it listens at. */
export interface Where {
  readonly http: typeof kernelHttp;
  readonly net: typeof kernelNet;
  readonly close: () => void;
}

/** `--kernel`: Node's own modules. `--tun NAME --subnet A.B.C [--no-offload]`: tapwire at A.B.C.2. */
export function where(argv: readonly string[]): Where {
  if (argv.includes('--kernel')) return { http: kernelHttp, net: kernelNet, close: () => {} };
  const subnet = argv[argv.indexOf('--subnet') + 1]!;
  const device = openTun({
    name: argv[argv.indexOf('--tun') + 1]!,
    hostAddress: `${subnet}.1/24`,
    offload: !argv.includes('--no-offload'),
  });
  const host = createHost({ devices: [{ device, addresses: [`${subnet}.2/24`] }] });
  return {
    http: createHttp(host) as unknown as typeof kernelHttp,
    net: createNet(host) as unknown as typeof kernelNet,
    close: () => host.close(),
  };
}

/** Tells the parent that the server is up, answers its questions, and ends on SIGTERM. */
export function serve(place: Where): void {
  process.on('message', (question) => {
    if (question !== 'memory') return;
    (globalThis as { gc?: () => void }).gc?.();
    process.send!({ ...process.memoryUsage() });
  });
  process.on('SIGTERM', () => {
    place.close();
    process.exit(0);
  });
  process.send!('up');
}
