import type { ConnectTransport } from './client-transport.ts';
import { portTransport } from './port-transport.ts';
import { webSocketTransport } from './web-socket-transport.ts';

/** The line that this window has to its backend: a port in Electron, else the WebSocket it was served with. */
export function connectHere(): ConnectTransport {
  if (/\bElectron\//.test(navigator.userAgent)) return portTransport(window);
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return webSocketTransport(() => new WebSocket(`${scheme}//${location.host}/ws`));
}
