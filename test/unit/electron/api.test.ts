import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createElectron } from '../../../electron';
import { BROWSER_ONLY, BROWSER_PROPERTIES } from '../../../electron/session';
import { createHost } from '../../../net/host';

/** What programs find on Electron's objects: each is here, or says why not. */
const host = createHost({ devices: [] });
const { net, session } = createElectron(host);
afterAll(() => host.close());

const own = session.fromPartition('api');

const SESSION_METHODS =
  'addWordToSpellCheckerDictionary allowNTLMCredentialsForDomains clearAuthCache clearCache clearCodeCaches clearData ' +
  'clearHostResolverCache clearSharedDictionaryCache clearSharedDictionaryCacheForIsolationKey clearStorageData ' +
  'closeAllConnections createInterruptedDownload disableNetworkEmulation downloadURL enableNetworkEmulation fetch ' +
  'flushStorageData forceReloadProxyConfig getAllExtensions getBlobData getCacheSize getExtension getPreloadScripts ' +
  'getPreloads getSharedDictionaryInfo getSharedDictionaryUsageInfo getSpellCheckerLanguages getStoragePath ' +
  'getUserAgent isPersistent isSpellCheckerEnabled listWordsInSpellCheckerDictionary loadExtension preconnect ' +
  'registerPreloadScript removeExtension removeWordFromSpellCheckerDictionary resolveHost resolveProxy ' +
  'setBluetoothPairingHandler setCertificateVerifyProc setCodeCachePath setDevicePermissionHandler ' +
  'setDisplayMediaRequestHandler setDownloadPath setPermissionCheckHandler setPermissionRequestHandler setPreloads ' +
  'setProxy setSSLConfig setSpellCheckerDictionaryDownloadURL setSpellCheckerEnabled setSpellCheckerLanguages ' +
  'setUSBProtectedClassesHandler setUserAgent unregisterPreloadScript';
const SESSION_PROPERTIES =
  'availableSpellCheckerLanguages cookies extensions netLog protocol serviceWorkers spellCheckerEnabled storagePath ' +
  'webRequest';

test.each(SESSION_METHODS.split(' '))('E-102: session.%s is there, or says why not', (name) => {
  const method = (own as unknown as Record<string, () => unknown>)[name]!;
  expect(typeof method).toBe('function');
  if (name in BROWSER_ONLY) expect(method).toThrow(`session.${name} needs a browser, and this is a network stack: `);
  expect(String(method)).not.toMatch(/not implemented/i);
});

test.each(SESSION_PROPERTIES.split(' '))('E-102: session.%s is there, or says why not', (name) => {
  const read = (): unknown => (own as unknown as Record<string, unknown>)[name];
  if (name in BROWSER_PROPERTIES)
    expect(read).toThrow(`session.${name} needs a browser, and this is a network stack: `);
  else expect(read()).not.toBeUndefined();
});

test('a session can be looked at, whatever it cannot do', () => {
  expect(Object.keys(own)).toContain('cookies');
  expect(require('node:util').inspect(own)).toContain('Session');
});

test.each([
  ['net', net, 'request fetch isOnline resolveHost', 'online'],
  ['session', session, 'fromPartition fromPath', 'defaultSession'],
  ['cookies', own.cookies, 'get set remove flushStore on once', ''],
  [
    'ClientRequest',
    net.request('http://localhost/'),
    'abort end followRedirect getHeader getUploadProgress removeHeader setHeader write on once removeListener',
    'chunkedEncoding',
  ],
])('%s has what Electron’s has', (_name, object, methods, properties) => {
  for (const name of methods.split(' ')) expect([name, typeof object[name as never]]).toEqual([name, 'function']);
  for (const name of properties.split(' ').filter((one) => one !== '')) expect(name in object).toBe(true);
});

test('the program in docs/electron.md is the example that is run', () => {
  const read = (...path: string[]): string => readFileSync(join(__dirname, '../../..', ...path), 'utf8');
  const [, block] = /```ts\n([\s\S]*?)```/.exec(read('docs', 'electron.md'))!;
  const withoutComments = (text: string): string => text.replace(/^\/\/.*\n/gm, '').replace(/\n{2,}/g, '\n');
  expect(withoutComments(block!)).toBe(withoutComments(read('examples', 'electron-upload.ts')));
});
