// A certificate authority of one's own and a server certificate signed by it, so that TLS can be verified.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requireProgram } from './process.ts';

const run = promisify(execFile);

export interface TlsFiles {
  caFile: string;
  certFile: string;
  keyFile: string;
}

/** Writes the files into `folder`; the certificate holds for 127.0.0.1 and localhost, for two days. */
export async function selfSignedTls(folder: string): Promise<TlsFiles> {
  const openssl = requireProgram('openssl', 'install OpenSSL');
  await mkdir(folder, { recursive: true });
  const at = (name: string) => join(folder, name);
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  await writeFile(at('san.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  await run(openssl, [
    ...['req', '-x509', ...key, '-days', '2', '-subj', '/CN=Headway test authority'],
    ...['-keyout', at('ca-key.pem'), '-out', at('ca.pem')],
  ]);
  await run(openssl, [
    ...['req', ...key, '-subj', '/CN=127.0.0.1', '-keyout', at('key.pem'), '-out', at('request.pem')],
  ]);
  await run(openssl, [
    ...['x509', '-req', '-in', at('request.pem'), '-CA', at('ca.pem'), '-CAkey', at('ca-key.pem')],
    ...['-CAcreateserial', '-days', '2', '-extfile', at('san.cnf'), '-out', at('cert.pem')],
  ]);
  return { caFile: at('ca.pem'), certFile: at('cert.pem'), keyFile: at('key.pem') };
}
