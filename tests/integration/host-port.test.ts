// The desktop face from end to end without Electron: the window's client and the host's dispatcher, with the preload
// script's part played here, over real message ports (Node's, which behave as Electron's do).
import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { methods, streams, type MethodHandlers, type StreamHandlers } from '../../src/contract/api.ts';
import { Dispatcher } from '../../src/main/host/dispatcher.ts';
import { electronPortTransport, type PortLike } from '../../src/main/host/electron-port.ts';
import { createClient } from '../../src/renderer/lib/client/client.ts';
import { portTransport, type PortWindow } from '../../src/renderer/lib/client/port-transport.ts';

const logger = { warn: () => undefined, error: () => undefined };

/** Node's port gives the bare message where Electron's gives an event. */
function asElectronPort(port: MessagePort): PortLike {
  return {
    postMessage: (message) => port.postMessage(message),
    on: (event: string, listener: (event: { data: unknown }) => void) =>
      port.on(event, (data: unknown) => listener({ data })),
    start: () => port.start(),
    close: () => port.close(),
  };
}

/** A page with a preload script that answers each request with a new port. */
function makeWindow(dispatcher: Dispatcher) {
  type Listener = Parameters<PortWindow['addEventListener']>[1];
  const listeners = new Set<Listener>();
  const hostPorts: MessagePort[] = [];
  const window: PortWindow = {
    addEventListener(_type, listener, { signal }) {
      listeners.add(listener);
      signal.addEventListener('abort', () => listeners.delete(listener));
    },
    postMessage(message) {
      if (message !== 'headway-port-request') return;
      const { port1, port2 } = new MessageChannel();
      hostPorts.push(port1);
      dispatcher.serve(electronPortTransport(asElectronPort(port1), () => performance.now()));
      queueMicrotask(() => {
        // A frame that pretends to be the preload script is not listened to.
        for (const source of [{}, window]) {
          for (const listener of [...listeners])
            listener({ data: 'headway-port', source, ports: [port2 as unknown as WindowPort] });
        }
      });
    },
  };
  return { window, hostPorts, listeners };
}

const absent = () => Promise.reject(new Error('not in this test'));
const all = (names: object): unknown => Object.fromEntries(Object.keys(names).map((name) => [name, absent]));
const ignore = () => undefined;

/** The same port, as the DOM types it for the window's end. */
type WindowPort = Parameters<Parameters<PortWindow['addEventListener']>[1]>[0]['ports'][number];

test('calls, streams and the loss of the port work as over a WebSocket', async () => {
  const dispatcher = new Dispatcher({
    // Complete by construction: every name of the contract has a handler.
    methods: { ...(all(methods) as MethodHandlers), 'rehearsal.act': () => Promise.resolve({}) },
    streams: { ...(all(streams) as StreamHandlers), rehearsal: () => Promise.resolve(null) },
    logger,
  });
  const { window, hostPorts, listeners } = makeWindow(dispatcher);
  const client = createClient(portTransport(window));
  try {
    await expect(client.call('rehearsal.act', {})).resolves.toEqual({});
    const snapshots: unknown[] = [];
    const renewed = Promise.withResolvers<undefined>();
    const snapshot = (value: unknown) => {
      snapshots.push(value);
      if (snapshots.length === 2) renewed.resolve(undefined);
      else hostPorts[0]?.close();
    };
    client.subscribe('rehearsal', {}, { snapshot, delta: ignore, error: ignore });
    await renewed.promise;
    expect(snapshots).toEqual([null, null]);
    expect(hostPorts).toHaveLength(2);
    expect(dispatcher.clients).toBe(1);
    expect(listeners.size).toBe(0);
  } finally {
    client.close();
  }
  const [, last] = hostPorts;
  if (dispatcher.clients > 0 && last !== undefined) await once(last, 'close');
  expect(dispatcher.clients).toBe(0);
});
