import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** PEM texts. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** An authority, a server on 127.0.0.1 and a client of it, by openssl. Their files are left in the folder: `ca.crt`, `server.key`, ... */
export async function testCertificates(
  folder: string,
): Promise<{ readonly ca: string; readonly server: TestCertificate; readonly client: TestCertificate }> {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  openssl('req', '-x509', ...newKey, '-subj', '/CN=authority', '-keyout', 'ca.key', '-out', 'ca.crt');
  const signed = async (name: string, extension: string): Promise<TestCertificate> => {
    await writeFile(join(folder, 'extension'), extension);
    openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extension'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.crt`);
    return {
      cert: await readFile(join(folder, `${name}.crt`), 'utf8'),
      key: await readFile(join(folder, `${name}.key`), 'utf8'),
    };
  };
  const ca = await readFile(join(folder, 'ca.crt'), 'utf8');
  return {
    ca,
    server: await signed('server', 'subjectAltName=IP:127.0.0.1'),
    client: await signed('client', 'extendedKeyUsage=clientAuth'),
  };
}
