/**
 * `tapwire/electron`: Electron's `net` and `session` over a stack of ours, on the default host. `createElectron` makes the
 * same for any other host.
 *
 * @example
 * const request = net.request({ method: 'POST', url: 'http://localhost:8080/', partition: 'persist:shop' });
 * request.on('response', (response) => response.pipe(process.stdout));
 * request.end('hello');
 */
export type { ClientRequest } from './client-request';
export type { NetError } from './errors';
export type { FetchInit } from './fetch';
export type { IncomingMessage } from './incoming-message';
export type { ElectronNet } from './net';
export type { CacheMode, ClientRequestOptions, CredentialsMode, RedirectMode } from './options';
export type { Priority } from './priority';
export type { UploadProgress } from './progress';
export type { ReferrerPolicy } from './referrer';
export type { AuthInfo, LoginCallback } from './transaction';
