import { ProcessFault, run } from '../../../process/index.ts';
import { ProofFault } from '../fault.ts';
import { isSignedBy, parsePublicKey } from './public-key.ts';
import type { Signer } from './signer.ts';

/** Milliseconds for one call: a person may have to touch a token. */
const patience = 120_000;
/** Variables that are this program's own: what opens a key here is no business of another program. */
const ownSecrets = ['BANKSMAN_KEY_PASSWORD', 'BANKSMAN_KEY_PASSWORD_FILE', 'COSIGN_PASSWORD'];
/** crypto.SHA256 of Go, by which the protocol names the hash. */
const sha256 = 5;

/**
 * A signer whose key never gets here: a program `sigstore-kms-NAME` on the PATH holds it, or knows who does. The protocol is
 * version 1 of Sigstore's plugins for key management (sigstore, pkg/signature/kms/cliplugin), so that what was made for cosign
 * works: `sigstore-kms-NAME v1 '{"initOptions": ..., "methodName": ...}'`, the message on standard input, JSON on standard output.
 *
 * @param reference `NAME://KEY`
 * @throws ProofFault proof/no-key, proof/signer-failed
 */
export async function programSigner(reference: string, signal?: AbortSignal): Promise<Signer> {
  const [, name = ''] = /^([a-z0-9][a-z0-9.+-]*):\/\//.exec(reference) ?? [];
  const key = reference.slice(name.length + '://'.length);
  const program = `sigstore-kms-${name}`;
  const call = async (method: 'publicKey' | 'signMessage', args: object, input: Uint8Array) => {
    const rpc = { keyVersion: '', remoteVerification: false };
    const initOptions = { protocolVersion: 'v1', keyResourceID: key, hashFunc: sha256, rpcOptions: rpc };
    const question = JSON.stringify({ initOptions, methodName: method, [method]: args });
    return ask(program, question, input, method, signal);
  };
  const asked = await call('publicKey', { publicKeyOptions: { rpcOptions: {} } }, Buffer.alloc(0));
  const pem = Buffer.from(textOf(asked, 'publicKey', 'publicKeyPEM', program), 'base64').toString('utf8');
  const publicKey = parsePublicKey(pem, `the key ${reference}`);
  return {
    publicKey,
    async sign(message) {
      const signOptions = { rpcOptions: {}, messageOptions: {} };
      const answer = await call('signMessage', { signOptions }, message);
      const signature = Buffer.from(textOf(answer, 'signMessage', 'signature', program), 'base64');
      // A signature that nobody could check would only be found out at a deploy.
      if (isSignedBy(publicKey, message, signature)) return signature;
      throw new ProofFault('proof/signer-failed', `${program} gave a signature that its own public key does not fit`);
    },
  };
}

type Answer = Readonly<Record<string, unknown>>;

async function ask(
  program: string,
  question: string,
  input: Uint8Array,
  method: string,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ownSecrets.includes(name)));
  let stdout: string;
  try {
    // Its exit code says nothing in this protocol.
    const accept = Array.from({ length: 256 }, (_, code) => code);
    const maximumOutput = 1024 * 1024;
    const options = { env, input, accept, maximumOutput, timeout: patience, ...(signal && { signal }) };
    stdout = (await run(program, ['v1', question], options)).stdout.toString('utf8');
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    if (error.code === 'process/not-found') {
      throw new ProofFault('proof/no-key', `there is no program ${program} to sign with`, {
        next: `put ${program} on the PATH, or name a key in a file or as env://VARIABLE`,
      });
    }
    throw new ProofFault('proof/signer-failed', `${program} did not answer ${method}: ${error.message}`, {
      notes: error.notes,
    });
  }
  let answer: Answer;
  try {
    answer = JSON.parse(stdout);
  } catch {
    throw new ProofFault('proof/signer-failed', `${program} did not answer ${method} in JSON`);
  }
  const said = answer?.errorMessage;
  if (typeof said === 'string' && said !== '') {
    throw new ProofFault('proof/signer-failed', `${program} refused ${method}: ${said.slice(0, 500)}`);
  }
  return answer;
}

function textOf(answer: Answer, method: string, field: string, program: string): string {
  const found = (answer[method] as Answer | null | undefined)?.[field];
  if (typeof found === 'string' && found !== '') return found;
  throw new ProofFault('proof/signer-failed', `${program} answered ${method} without ${field}`);
}
