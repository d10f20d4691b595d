// A backend in memory for tests of state classes: what is subscribed to can be fed, what is called is answered.
import type { Delta, Snapshot, StreamName } from '../../../contract/api.ts';
import type { Backend, StreamListener } from './backend.ts';

interface Open {
  stream: StreamName;
  params: unknown;
  listener: StreamListener<StreamName>;
}

export class TestBackend implements Backend {
  readonly open: Open[] = [];
  readonly calls: { method: string; input: unknown }[] = [];
  /** What a method answers, or throws. */
  answer: (method: string, input: unknown) => unknown = () => ({});

  call: Backend['call'] = async (method, input) => {
    this.calls.push({ method, input });
    await Promise.resolve();
    // The test says what fits the method.
    return this.answer(method, input) as never;
  };

  subscribe: Backend['subscribe'] = (stream, params, listener) => {
    // Kept by name; feed() brings only what belongs to that name.
    const entry: Open = { stream, params, listener };
    this.open.push(entry);
    return () => void this.open.splice(this.open.indexOf(entry), 1);
  };

  snapshot<S extends StreamName>(stream: S, snapshot: Snapshot<S>): void {
    for (const entry of this.open) if (entry.stream === stream) entry.listener.snapshot(snapshot);
  }

  delta<S extends StreamName>(stream: S, delta: Delta<S>): void {
    for (const entry of this.open) if (entry.stream === stream) entry.listener.delta(delta);
  }
}
