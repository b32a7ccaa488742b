import http from 'node:http';
import https from 'node:https';
import { type UploadKind, type UploadSeen, upload } from '../electron/upload';
import { KERNEL4, Lab, settled } from './lab';

/** An upload over TUN, to a server on the kernel's TCP. */
export async function electronUpload(kind: UploadKind): Promise<UploadSeen & { left: object }> {
  const lab = new Lab();
  const seen = await upload(lab.host, { http, https }, KERNEL4, kind);
  const left = await settled(lab);
  lab.close();
  return { ...seen, left };
}
