// The TLS files of a database connection. Read at every connect: certificates are renewed.
import { readFile } from 'node:fs/promises';
import { HeadwayError } from '../../contract/errors.ts';
import type { DatabaseSettings } from '../../contract/settings.ts';

export interface TlsFiles {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

/** Those that the settings name. Rejects with `file-missing`. */
export async function readTlsFiles({ host, port, tls }: DatabaseSettings): Promise<TlsFiles> {
  const read = async (name: keyof TlsFiles, path: string | undefined): Promise<TlsFiles> => {
    if (path === undefined) return {};
    try {
      return { [name]: await readFile(path) };
    } catch (cause) {
      throw new HeadwayError(
        'file-missing',
        `The TLS file ${path} for ${host}:${port} cannot be read. Check its path and permissions.`,
        { cause },
      );
    }
  };
  return {
    ...(await read('ca', tls.caFile)),
    ...(await read('cert', tls.certFile)),
    ...(await read('key', tls.keyFile)),
  };
}
