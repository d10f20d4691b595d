import type { RawData, WebSocket } from 'ws';
import { parseJson, type HostTransport } from './host-transport.ts';

/** The host's end of a browser's WebSocket: one JSON text frame a message. */
export function webSocketTransport(socket: WebSocket): HostTransport {
  return {
    send(message) {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
    },
    onMessage(listener) {
      socket.on('message', (data: RawData, isBinary: boolean) => {
        const message = isBinary ? undefined : parseJson(textOf(data));
        if (message === undefined) socket.close(1007, 'one JSON message a text frame');
        else listener(message);
      });
    },
    onClose(listener) {
      socket.once('close', listener);
    },
    bufferedBytes: () => socket.bufferedAmount,
    close(reason) {
      socket.close(1008, reason);
    },
  };
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return (data instanceof ArrayBuffer ? Buffer.from(data) : data).toString('utf8');
}
