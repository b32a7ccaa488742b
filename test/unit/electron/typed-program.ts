/**
 * A program as it is written against Electron's own types, on parameters that have ours: where it compiles, ours are what
 * they claim to be. `tsc` checks it, and `typed-program.test.ts` runs it.
 */
import type { net as Net, session as Sessions } from 'tapwire/electron';

export async function talk(net: typeof Net, session: typeof Sessions, origin: string): Promise<string[]> {
  const told: string[] = [];
  const own = session.fromPartition('typed', { cache: false });
  await own.cookies.set({ url: origin, name: 'n', value: '1', sameSite: 'strict', httpOnly: true });
  own.cookies.on('changed', (_event, cookie, cause, removed) => {
    const words: [string, string, boolean] = [cookie.name, cause, removed];
    told.push(words.join(' '));
  });
  own.webRequest.onBeforeSendHeaders({ urls: [`${origin}/*`], types: ['xhr'] }, (details, callback) => {
    const words: [number, string, string] = [details.id, details.url, details.requestHeaders['X-One']!];
    callback({ cancel: words.length > 0, requestHeaders: { ...details.requestHeaders, 'X-Two': ['a'] } });
  });
  own.webRequest.onHeadersReceived(({ statusLine, responseHeaders }, callback) => {
    callback({ statusLine, responseHeaders: { ...responseHeaders, 'x-seen': 'yes' } });
  });
  own.webRequest.onCompleted((details) => told.push(`${details.statusCode.toFixed()} ${details.fromCache}`));
  own.webRequest.onCompleted(null);
  const { hostname, port } = new URL(origin);
  const request = net.request({
    method: 'POST',
    protocol: 'http:',
    hostname,
    port: Number(port),
    path: '/typed',
    headers: { 'X-List': ['a', 'b'], 'X-One': 'c' },
    session: own,
    partition: 'passed over',
    bypassCustomProtocolHandlers: true,
    credentials: 'include',
    useSessionCookies: true,
    redirect: 'manual',
    origin,
    referrerPolicy: 'strict-origin-when-cross-origin',
    cache: 'no-cache',
    priority: 'highest',
    priorityIncremental: false,
  });
  request.chunkedEncoding = true;
  request.setHeader('X-Set', 'text');
  const value: string = request.getHeader('x-set');
  request.removeHeader('X-Set');
  told.push(value);
  await new Promise<void>((resolve, reject) => {
    request.on('login', (authInfo, callback) => {
      const { isProxy, scheme, host, port: at, realm } = authInfo;
      const words: [boolean, string, string, number, string] = [isProxy, scheme, host, at, realm];
      told.push(`${words[0]} ${words[1]} ${words[4]}`);
      callback('user', 'password');
    });
    request.once('redirect', (statusCode, method, redirectUrl, responseHeaders) => {
      const [location]: string[] = responseHeaders['location']!;
      told.push(`${statusCode.toFixed()} ${method.toLowerCase()} ${redirectUrl.length > 0} ${location}`);
      request.followRedirect();
    });
    request.addListener('response', (response) => {
      const { statusCode, statusMessage, httpVersion, httpVersionMajor, httpVersionMinor, rawHeaders } = response;
      const version: [string, number, number] = [httpVersion, httpVersionMajor, httpVersionMinor];
      const type: string | string[] | undefined = response.headers['content-type'];
      const names: string[] = rawHeaders.filter((_, i) => i % 2 === 0);
      told.push(`${statusCode.toFixed()} ${statusMessage} ${version.join(' ')} ${type} ${names.includes('x-seen')}`);
      response.on('data', (chunk) => told.push(chunk.toString('utf8')));
      response.on('aborted', () => reject(new Error('aborted')));
      response.on('error', (error: Error) => reject(error));
    });
    request.on('finish', () => told.push('finish'));
    request.on('error', (error) => reject(error));
    request.on('close', () => resolve());
    request.write('bo', 'utf-8', () => {});
    request.end(Buffer.from('dy'));
  });
  const { active, started, current, total } = request.getUploadProgress();
  told.push([active, started, current, total].join(' '));
  request.abort();
  const response = await own.fetch(`${origin}/typed`, { bypassCustomProtocolHandlers: true, method: 'HEAD' });
  told.push(String(response.status), String(net.isOnline() === net.online));
  const { endpoints } = await net.resolveHost('127.0.0.1', { queryType: 'A', cacheUsage: 'disallowed' });
  told.push(...endpoints.map(({ address, family }) => `${family} ${address}`));
  await session.defaultSession.setProxy({ mode: 'direct' });
  told.push(await session.defaultSession.resolveProxy(origin));
  own.setSSLConfig({ minVersion: 'tls1.2', maxVersion: 'tls1.3', disabledCipherSuites: [0xc02f] });
  own.setCertificateVerifyProc(({ hostname: name, verificationResult, errorCode }, callback) => {
    callback(name === 'localhost' && verificationResult === 'net::OK' ? errorCode : -3);
  });
  own.enableNetworkEmulation({ offline: true });
  own.disableNetworkEmulation();
  own.preconnect({ url: origin, numSockets: 1 });
  await own.clearStorageData({ storages: ['cookies'], origin });
  await own.clearData({ dataTypes: ['cookies'], avoidClosingConnections: true });
  await own.clearAuthCache();
  await own.closeAllConnections();
  await new Promise((resolve) => setImmediate(resolve));
  return told;
}
