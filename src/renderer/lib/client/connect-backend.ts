import type { ConnectTransport } from './client-transport.ts';
import { createClient, type Client } from './client.ts';
import { portTransport } from './port-transport.ts';
import { webSocketTransport } from './web-socket-transport.ts';

/** The window's client of its backend: over a port in Electron, else over the WebSocket of the page's own origin. */
export function connectBackend(): Client {
  return createClient(transportHere());
}

function transportHere(): ConnectTransport {
  if (/\bElectron\//.test(navigator.userAgent)) return portTransport(window);
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return webSocketTransport(() => new WebSocket(`${scheme}//${location.host}/ws`));
}
