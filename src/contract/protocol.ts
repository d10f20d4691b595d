// What goes over the wire, in both faces. Every message is parsed where it arrives.
import { z } from 'zod';
import { wireErrorSchema } from './errors.ts';

/** Chosen by the client, unique among its calls and subscriptions. */
const id = z.int().nonnegative();

export const clientMessageSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('call'), id, method: z.string(), input: z.unknown() }),
  z.object({ t: z.literal('cancel'), id }),
  z.object({ t: z.literal('subscribe'), id, stream: z.string(), params: z.unknown() }),
  z.object({ t: z.literal('unsubscribe'), id }),
  z.object({ t: z.literal('ping'), id }),
]);
export type ClientMessage = z.infer<typeof clientMessageSchema>;

export const hostMessageSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('result'), id, output: z.unknown() }),
  z.object({ t: z.literal('error'), id, error: wireErrorSchema }),
  z.object({ t: z.literal('snapshot'), id, snapshot: z.unknown() }),
  /**
   * Deltas since the last message, at most 10 messages a second. `seq` starts at 1 after each snapshot and grows
   * by one a message; a client that sees a gap resubscribes. `dropped` counts deltas lost to a slow client.
   */
  z.object({ t: z.literal('delta'), id, seq: z.int(), deltas: z.array(z.unknown()), dropped: z.int() }),
  z.object({ t: z.literal('pong'), id }),
]);
export type HostMessage = z.infer<typeof hostMessageSchema>;
