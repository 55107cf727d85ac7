import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { SumAlgorithm } from '../graph/index.ts';

/** A sum in the making. */
export interface Sum {
  update(bytes: Uint8Array): void;
  digest(): Buffer;
}

/** A sum over bytes in pieces, by an algorithm that Please knows: `hashcheckers` of .plzconfig. */
export async function createSum(algorithm: SumAlgorithm): Promise<Sum> {
  switch (algorithm) {
    case 'sha1':
    case 'sha256': {
      const hash = createHash(algorithm);
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    case 'blake3': {
      const { blake3 } = await import('@noble/hashes/blake3.js');
      const hash = blake3.create();
      return { update: (bytes) => void hash.update(bytes), digest: () => Buffer.from(hash.digest()) };
    }
    case 'crc32':
      return createCrc32();
    case 'crc64':
      return createCrc64();
    case 'xxhash':
      return createXxhash64();
  }
}

function createCrc32(): Sum {
  let value = 0;
  return {
    update(bytes) {
      value = crc32(bytes, value);
    },
    digest() {
      const sum = Buffer.alloc(4);
      sum.writeUInt32BE(value);
      return sum;
    },
  };
}

/** CRC-64 of ISO 3309 (polynomial 0x1B), reflected, as Go's hash/crc64 has it. */
function createCrc64(): Sum {
  const mask = 0xffff_ffff_ffff_ffffn;
  let value = mask;
  const table = crc64Table();
  return {
    update(bytes) {
      for (const byte of bytes) value = table[Number(value & 0xffn) ^ byte]! ^ (value >> 8n);
    },
    digest: () => bigEndian(value ^ mask),
  };
}

function crc64Table(): BigUint64Array {
  const polynomial = 0xd800_0000_0000_0000n;
  return BigUint64Array.from({ length: 256 }, (_, index) => {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    return value;
  });
}

const prime1 = 0x9e37_79b1_85eb_ca87n;
const prime2 = 0xc2b2_ae3d_27d4_eb4fn;
const prime3 = 0x1656_67b1_9e37_79f9n;
const prime4 = 0x85eb_ca77_c2b2_ae63n;
const prime5 = 0x27d4_eb2f_1656_67c5n;

const word = (value: bigint) => BigInt.asUintN(64, value);
const rotated = (value: bigint, by: bigint) => word((value << by) | (value >> (64n - by)));
const round = (lane: bigint, input: bigint) => word(rotated(word(lane + input * prime2), 31n) * prime1);
const merged = (sum: bigint, lane: bigint) => word((sum ^ round(0n, lane)) * prime1 + prime4);

/** XXH64 with the seed 0: github.com/Cyan4973/xxHash, doc/xxhash_spec.md. */
function createXxhash64(): Sum {
  const lanes = [word(prime1 + prime2), prime2, 0n, word(-prime1)];
  let rest = Buffer.alloc(0);
  let length = 0n;
  return {
    update(bytes) {
      length += BigInt(bytes.length);
      const data = rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([rest, bytes]);
      let at = 0;
      for (; at + 32 <= data.length; at += 32) {
        for (let lane = 0; lane < 4; lane++) lanes[lane] = round(lanes[lane]!, data.readBigUInt64LE(at + 8 * lane));
      }
      rest = data.subarray(at);
    },
    digest() {
      const [a, b, c, d] = lanes as [bigint, bigint, bigint, bigint];
      let sum = prime5;
      if (length >= 32n) {
        sum = word(rotated(a, 1n) + rotated(b, 7n) + rotated(c, 12n) + rotated(d, 18n));
        for (const lane of [a, b, c, d]) sum = merged(sum, lane);
      }
      sum = word(sum + length);
      let at = 0;
      for (; at + 8 <= rest.length; at += 8) {
        sum = word(rotated(sum ^ round(0n, rest.readBigUInt64LE(at)), 27n) * prime1 + prime4);
      }
      if (at + 4 <= rest.length) {
        sum = word(rotated(sum ^ word(BigInt(rest.readUInt32LE(at)) * prime1), 23n) * prime2 + prime3);
        at += 4;
      }
      for (; at < rest.length; at++) sum = word(rotated(sum ^ word(BigInt(rest[at]!) * prime5), 11n) * prime1);
      sum = word((sum ^ (sum >> 33n)) * prime2);
      sum = word((sum ^ (sum >> 29n)) * prime3);
      return bigEndian(sum ^ (sum >> 32n));
    },
  };
}

function bigEndian(value: bigint): Buffer {
  const sum = Buffer.alloc(8);
  sum.writeBigUInt64BE(value);
  return sum;
}
