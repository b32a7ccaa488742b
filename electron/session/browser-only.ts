/** Methods of Electron's Session that make no sense without a browser, and why. Each throws when it is called. */
export const BROWSER_ONLY: Readonly<Record<string, string>> = {
  setPermissionRequestHandler: 'there are no pages that ask for permissions',
  setPermissionCheckHandler: 'there are no pages that ask for permissions',
  setDevicePermissionHandler: 'there are no pages that ask for devices',
  setDisplayMediaRequestHandler: 'there are no pages that ask for a display',
  setUSBProtectedClassesHandler: 'there are no pages that ask for devices',
  setBluetoothPairingHandler: 'there are no pages that ask for devices',
  setPreloads: 'there are no pages to load scripts into',
  getPreloads: 'there are no pages to load scripts into',
  registerPreloadScript: 'there are no pages to load scripts into',
  unregisterPreloadScript: 'there are no pages to load scripts into',
  getPreloadScripts: 'there are no pages to load scripts into',
  setDownloadPath: 'downloads are what a program makes of responses',
  downloadURL: 'downloads are what a program makes of responses: use net.request',
  createInterruptedDownload: 'downloads are what a program makes of responses: use net.request with a Range field',
  getBlobData: 'there are no pages that make blobs',
  clearCodeCaches: 'no scripts are compiled',
  setCodeCachePath: 'no scripts are compiled',
  clearSharedDictionaryCache: 'no content codings with dictionaries are decoded',
  clearSharedDictionaryCacheForIsolationKey: 'no content codings with dictionaries are decoded',
  getSharedDictionaryInfo: 'no content codings with dictionaries are decoded',
  getSharedDictionaryUsageInfo: 'no content codings with dictionaries are decoded',
  setSpellCheckerEnabled: 'there is no text to check',
  isSpellCheckerEnabled: 'there is no text to check',
  setSpellCheckerLanguages: 'there is no text to check',
  getSpellCheckerLanguages: 'there is no text to check',
  setSpellCheckerDictionaryDownloadURL: 'there is no text to check',
  listWordsInSpellCheckerDictionary: 'there is no text to check',
  addWordToSpellCheckerDictionary: 'there is no text to check',
  removeWordFromSpellCheckerDictionary: 'there is no text to check',
  loadExtension: 'extensions are the browser’s',
  removeExtension: 'extensions are the browser’s',
  getExtension: 'extensions are the browser’s',
  getAllExtensions: 'extensions are the browser’s',
  allowNTLMCredentialsForDomains: 'NTLM and Negotiate are passed over for Basic and Digest',
};

/** The same of its properties: each throws when it is read. */
export const BROWSER_PROPERTIES: Readonly<Record<string, string>> = {
  availableSpellCheckerLanguages: 'there is no text to check',
  spellCheckerEnabled: 'there is no text to check',
  extensions: 'extensions are the browser’s',
  serviceWorkers: 'there are no pages that have workers',
  protocol: 'there are no schemes but http: and https:, and no handlers of them',
  netLog: 'what was sent is in the host’s trace, captures and qlog',
};

/** Puts them on a prototype. */
export function refuseBrowserOnly(prototype: object): void {
  for (const [name, reason] of Object.entries(BROWSER_PROPERTIES)) {
    const refuse = (): never => {
      throw new Error(`session.${name} needs a browser, and this is a network stack: ${reason}`);
    };
    Object.defineProperty(prototype, name, { get: refuse, set: refuse, configurable: true });
  }
  for (const [name, reason] of Object.entries(BROWSER_ONLY)) {
    Object.defineProperty(prototype, name, {
      value: () => {
        throw new Error(`session.${name} needs a browser, and this is a network stack: ${reason}`);
      },
      writable: true,
      configurable: true,
    });
  }
}
