// State classes of the window: plain classes with runes, tested on their own, passed by context.
// This file is what they need of a backend: a part of the client, whichever its transport.
import type { StreamName } from '../../../contract/api.ts';
import type { Client, SubscriptionHandlers } from '../client/client.ts';

/** Calls reject with HeadwayError; a subscription lives over reconnects until its returned function is called. */
export type Backend = Pick<Client, 'call' | 'subscribe'>;

export type StreamListener<S extends StreamName> = SubscriptionHandlers<S>;
