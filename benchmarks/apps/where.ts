import { openTun } from '../../device/tun';
import { createHost, type Host } from '../../net/host';

/** Where an application runs: on a tapwire host, or, without one, on the kernel's TCP. */
export interface Where {
  readonly host: Host | null;
  readonly close: () => void;
}

/** `--kernel`: Node's own modules. `--tun NAME --subnet A.B.C [--no-offload]`: tapwire at A.B.C.2. */
export function where(argv: readonly string[]): Where {
  if (argv.includes('--kernel')) return { host: null, close: () => {} };
  const subnet = argv[argv.indexOf('--subnet') + 1]!;
  const device = openTun({
    name: argv[argv.indexOf('--tun') + 1]!,
    hostAddress: `${subnet}.1/24`,
    offload: !argv.includes('--no-offload'),
  });
  const host = createHost({ devices: [{ device, addresses: [`${subnet}.2/24`] }] });
  return { host, close: () => host.close() };
}

/** All garbage is gone: some is only found by the next collection, and pages go back to the kernel between them. */
async function collected(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Tells the parent that the server is up, answers its questions, and ends on SIGTERM. */
export function serve(place: Where): void {
  process.on('message', (question) => {
    if (question === 'memory') void collected().then(() => process.send!({ ...process.memoryUsage() }));
  });
  process.on('SIGTERM', () => {
    place.close();
    process.exit(0);
  });
  process.send!('up');
}
