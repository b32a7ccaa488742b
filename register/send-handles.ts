import { ChildProcess } from 'node:child_process';
import { nodeError } from '../net/errors';
import { TcpHandle } from '../net/handle';
import { KernelHandle, KernelServerHandle } from '../net/kernel-handle';
import { ServerHandle } from '../net/server-handle';
import { UdpHandle } from '../net/udp-handle';

/**
 * `process.send(message, socket)`: Node hands a kernel's handle to another process. A connection of ours is nowhere but in
 * the stack of its own process, so whoever tries to send it is told, instead of a failure somewhere in Node.
 */

type Send = (message: unknown, handle?: unknown, ...rest: unknown[]) => unknown;

interface Channel {
  _send?: Send;
}

const OURS = [TcpHandle, ServerHandle, UdpHandle, KernelHandle, KernelServerHandle] as const;

const cannotBeSent = (): Error =>
  nodeError(
    TypeError,
    'ERR_INVALID_HANDLE_TYPE',
    "This handle type cannot be sent: tapwire's sockets and servers exist in the process that made them only. Let the other " +
      'process listen or connect itself (TAPWIRE=network:10.77.0.0/24 gives each an address), or send it what it needs to know',
  );

/** Node's `send` of both ends checks its arguments, and then calls this. */
function refuseOurs(channel: Channel): void {
  const { _send: send } = channel;
  if (send === undefined) return;
  channel._send = function _send(message, handle, ...rest) {
    const below = (handle as { _handle?: unknown } | null | undefined)?._handle;
    if (OURS.some((Handle) => below instanceof Handle)) throw cannotBeSent();
    return send.call(this, message, handle, ...rest);
  };
}

/** To be called once, in every process. */
export function refuseToSendHandles(): void {
  refuseOurs(process as unknown as Channel);
  const prototype = ChildProcess.prototype as unknown as { spawn(this: Channel, options: object): unknown };
  const { spawn } = prototype;
  prototype.spawn = function (this: Channel, options: object): unknown {
    const failed = spawn.call(this, options);
    refuseOurs(this);
    return failed;
  };
}
