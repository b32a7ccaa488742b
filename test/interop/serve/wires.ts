import { Namespace, Serve } from './lab';

/** A server on its wire, with the kernel's side of it. */
export interface Stand {
  /** Where clients run. */
  client: Namespace;
  serve: Serve;
  url: string;
  address: string;
  /** The kernel's interface that faces the stack. */
  device: string;
  close(): Promise<void>;
}

export type WireName = 'tun' | 'tap' | 'packet';
export const WIRES: readonly WireName[] = ['tun', 'tap', 'packet'];

/** Starts `tapwire serve` on a wire in namespaces of its own. */
export async function stand(wire: WireName, args: readonly string[] = []): Promise<Stand> {
  return wire === 'packet' ? packetStand(args) : tunnelStand(wire, args);
}

async function tunnelStand(wire: 'tun' | 'tap', args: readonly string[]): Promise<Stand> {
  const client = new Namespace();
  try {
    const serve = await Serve.start(client, [`--${wire}`, 'lab0', ...args]);
    const close = async (): Promise<void> => {
      serve.kill();
      client.close();
    };
    return { client, serve, url: 'http://10.77.0.2', address: '10.77.0.2', device: 'lab0', close };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** A cable between two namespaces: clients on the one end, the stack beside an address-less kernel on the other. */
async function packetStand(args: readonly string[]): Promise<Stand> {
  const client = new Namespace();
  const inside = new Namespace();
  try {
    client.sh(`
      ip link add left0 type veth peer name right0
      ip link set right0 netns ${inside.pid}
      ip addr add 10.77.0.1/24 dev left0
      ip link set left0 up
      ${args.includes('--no-offload') ? 'ethtool -K left0 tx off >/dev/null' : ''}`);
    inside.sh('ip link set right0 up');
    const serve = await Serve.start(inside, ['--packet', 'right0', '--address', '10.77.0.2/24', ...args]);
    const close = async (): Promise<void> => {
      serve.kill();
      inside.close();
      client.close();
    };
    return { client, serve, url: 'http://10.77.0.2', address: '10.77.0.2', device: 'left0', close };
  } catch (error) {
    inside.close();
    client.close();
    throw error;
  }
}
