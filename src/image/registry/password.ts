import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** Cost of a guess: 16 MiB and some 50 ms. RFC 7914; OWASP's password storage guidance has N = 2^14, r = 8, p = 5 as an equal. */
const cost = { N: 16_384, r: 8, p: 5 };
const keyLength = 32;

/** `scrypt:16384:8:5:<salt>:<key>`, base64url: what a configuration keeps in place of a password. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost.N, cost.r, cost.p);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), key.toString('base64url')].join(':');
}

const pattern = /^scrypt:(\d{1,8}):(\d{1,3}):(\d{1,3}):([A-Za-z0-9_-]{8,}):([A-Za-z0-9_-]{43})$/;

export function isPasswordHash(text: string): boolean {
  const [, N] = pattern.exec(text) ?? [];
  return N !== undefined && Number(N) >= 1024 && Number(N) <= 1_048_576 && Number.isInteger(Math.log2(Number(N)));
}

/** A random token of 256 bits, and the sum that a configuration keeps of it: nobody guesses it, so that a plain sum does. */
export function newToken(): { readonly token: string; readonly hash: string } {
  const token = `bkt_${randomBytes(32).toString('base64url')}`;
  return { token, hash: hashToken(token) };
}

export function hashToken(token: string): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')}`;
}

/** Verifications at a time: each takes memory, and anybody may ask for one. */
const atOnce = 2;

/** Milliseconds for which a verified password is not derived again: clients send it with each request. */
const rememberedFor = 5 * 60_000;

export interface PasswordVerifier {
  /** @param hash undefined for a user who does not exist: takes as long, and is false */
  verify(user: string, password: string, hash: string | undefined): Promise<boolean>;
}

export function createPasswordVerifier(): PasswordVerifier {
  const secret = randomBytes(32);
  const remembered = new Map<string, number>();
  let running = 0;
  const waiting: (() => void)[] = [];
  const nobody = `scrypt:${cost.N}:${cost.r}:${cost.p}:${randomBytes(16).toString('base64url')}:${'A'.repeat(43)}`;

  async function limited<T>(body: () => Promise<T>): Promise<T> {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await body();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  }

  return {
    async verify(user, password, hash) {
      // Only a keyed sum of the password stays in memory.
      const key = createHmac('sha256', secret)
        .update(JSON.stringify([user, password, hash]))
        .digest('base64');
      if ((remembered.get(key) ?? 0) > Date.now()) return true;
      const [, N, r, p, salt = '', wanted = ''] = pattern.exec(hash ?? nobody) ?? [];
      const found = await limited(() =>
        derive(password, Buffer.from(salt, 'base64url'), Number(N), Number(r), Number(p)),
      );
      const right = timingSafeEqual(found, Buffer.from(wanted, 'base64url')) && hash !== undefined;
      if (!right) return false;
      if (remembered.size > 1000) remembered.clear();
      remembered.set(key, Date.now() + rememberedFor);
      return true;
    },
  };
}

function derive(password: string, salt: Buffer, N: number, r: number, p: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, keyLength, { N, r, p, maxmem: 256 * N * r }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}
