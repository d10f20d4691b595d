// What locked-key.ts and its thread say to each other.
import { z } from 'zod';

/** A Buffer arrives as the plain array it is. */
const bytes = z.instanceof<typeof Uint8Array<ArrayBufferLike>>(Uint8Array);

export const lockedKeyDataSchema = z.object({ text: z.string(), passphrase: z.string() });
export type LockedKeyData = z.infer<typeof lockedKeyDataSchema>;

export const signRequestSchema = z.object({
  id: z.int(),
  data: bytes,
  /** Which SHA signs, for the kinds of key that leave it open. */
  hash: z.enum(['sha1', 'sha256', 'sha512']).optional(),
});
export type SignRequest = z.infer<typeof signRequestSchema>;

/** First `unlocked` or `refused`; then one answer for each request. */
export const fromLockedKeySchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('unlocked'), publicKey: bytes }),
  z.object({ t: z.literal('refused'), message: z.string() }),
  z.object({ t: z.literal('signed'), id: z.int(), signature: bytes }),
  z.object({ t: z.literal('unsigned'), id: z.int(), message: z.string() }),
]);
export type FromLockedKey = z.infer<typeof fromLockedKeySchema>;
