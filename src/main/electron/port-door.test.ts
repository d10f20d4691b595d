import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { MethodHandlers, StreamHandlers } from '../../contract/api.ts';
import { Dispatcher } from '../host/dispatcher.ts';
import { fakeChannel, type FakePort } from './fake-electron.ts';
import { openPortDoor } from './port-door.ts';
import { ownPages } from './security.ts';

function makeDoor() {
  const ipcMain = new EventEmitter();
  const warned: string[] = [];
  const logger = { warn: (_fields: object, message: string) => warned.push(message), error: () => undefined };
  // No message of these tests reaches a handler.
  const dispatcher = new Dispatcher({ methods: {} as MethodHandlers, streams: {} as StreamHandlers, logger });
  let nowMs = 0;
  const clock = { pass: (ms: number) => (nowMs += ms) };
  const pages = ownPages(undefined);
  openPortDoor({ ipcMain, createChannel: fakeChannel, dispatcher, pages, nowMs: () => nowMs, logger });
  const ask = (url: string, parent: unknown = null) => {
    const handed: FakePort[] = [];
    const postMessage = (_channel: string, _message: unknown, ports: FakePort[]) => handed.push(...ports);
    ipcMain.emit('headway-port', { senderFrame: { url, parent, postMessage } });
    return handed;
  };
  return { ask, dispatcher, warned, clock, ipcMain };
}

test('the window gets a port to the host, and its end frees what the host keeps of it', () => {
  const { ask, dispatcher } = makeDoor();
  const [port] = ask('headway://app/connection/a');
  const heard: unknown[] = [];
  port?.on('message', ({ data }: { data: unknown }) => heard.push(data));
  port?.start();
  port?.postMessage(JSON.stringify({ t: 'ping', id: 7 }));
  expect(heard).toEqual([JSON.stringify({ t: 'pong', id: 7 })]);
  expect(dispatcher.clients).toBe(1);
  port?.close();
  expect(dispatcher.clients).toBe(0);
});

test('another page, a frame in ours, and a frame that is gone get none', () => {
  const { ask, dispatcher, warned, ipcMain } = makeDoor();
  expect(ask('https://example.com/')).toEqual([]);
  expect(ask('headway://app/', {})).toEqual([]);
  ipcMain.emit('headway-port', { senderFrame: null });
  expect(warned).toHaveLength(3);
  expect(dispatcher.clients).toBe(0);
});

test('what is no text of the protocol ends the port', () => {
  const { ask, dispatcher } = makeDoor();
  for (const message of [{ t: 'ping', id: 1 }, 'no json', 'x'.repeat(2_000_000)]) {
    const [port] = ask('headway://app/');
    expect(dispatcher.clients).toBe(1);
    port?.postMessage(message);
    expect(dispatcher.clients).toBe(0);
  }
});
