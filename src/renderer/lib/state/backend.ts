// State classes of the window: plain classes with runes, tested on their own, passed by context.
// This file is what they need of a backend; the client over either transport fits it.
import type {
  CallInput,
  Delta,
  MethodName,
  MethodOutput,
  Snapshot,
  StreamName,
  SubscribeParams,
} from '../../../contract/api.ts';
import type { WireError } from '../../../contract/errors.ts';

export interface StreamListener<S extends StreamName> {
  snapshot(snapshot: Snapshot<S>): void;
  delta(delta: Delta<S>): void;
  error(error: WireError): void;
}

/** Calls reject with HeadwayError; a subscription lives over reconnects until its returned function is called. */
export interface Backend {
  call<M extends MethodName>(
    method: M,
    input: CallInput<M>,
    options?: { signal?: AbortSignal },
  ): Promise<MethodOutput<M>>;
  subscribe<S extends StreamName>(
    stream: S,
    params: SubscribeParams<S>,
    listener: StreamListener<S>,
  ): () => void;
}
