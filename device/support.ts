import { accessSync, constants } from 'node:fs';
import { DeviceError, explain } from './errors';
import { loadNative } from './native';
import { mayConfigure } from './netlink';

/** Whether TUN and TAP devices can be made here, and if not, why and what to do. */
export interface Support {
  readonly ok: boolean;
  /** One line; '' when all is well. */
  readonly reason: string;
  /** Whole sentences; '' when all is well. */
  readonly cure: string;
}

/**
 * Tells whether openTun would work in this process, without making anything. Even where it says no, a persistent device
 * that this user owns and an inherited descriptor may be opened.
 */
export function tunSupport(): Support {
  try {
    loadNative();
    accessTun();
    if (!mayConfigure()) {
      throw explain(
        Object.assign(new Error(), { code: 'EPERM', errno: -1, syscall: 'TUNSETIFF' }),
        'Cannot make a TUN device',
        '',
        'tun',
      );
    }
    return { ok: true, reason: '', cure: '' };
  } catch (error) {
    if (!(error instanceof DeviceError)) return { ok: false, reason: String(error), cure: '' };
    return { ok: false, reason: error.message.slice(0, -error.cure.length).trim(), cure: error.cure };
  }
}

function accessTun(): void {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (error) {
    throw explain(Object.assign(error as Error, { syscall: 'open' }), 'Cannot make a TUN device', '', 'tun');
  }
}
