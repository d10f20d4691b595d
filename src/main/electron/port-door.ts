import type { Dispatcher } from '../host/dispatcher.ts';
import { electronPortTransport, type PortLike } from '../host/electron-port.ts';
import type { HostLogger } from '../host/host-transport.ts';
import { isOwnFrame, type OwnPages } from './security.ts';

/** The channel the preload script asks on, and is answered on. */
const PORT_CHANNEL = 'headway-port';

interface FrameWithPort<Port> {
  readonly url: string;
  readonly parent: unknown;
  postMessage(channel: string, message: unknown, transfer: Port[]): void;
}

interface PortDoorOptions<Port extends PortLike> {
  ipcMain: {
    on(
      channel: string,
      listener: (event: { readonly senderFrame: FrameWithPort<Port> | null }) => void,
    ): unknown;
  };
  createChannel: () => { port1: Port; port2: Port };
  dispatcher: Dispatcher;
  pages: OwnPages;
  nowMs: () => number;
  logger: HostLogger;
}

/** Gives each of our own pages that asks a message port to the host. It is the only message the main process takes. */
export function openPortDoor<Port extends PortLike>(options: PortDoorOptions<Port>): void {
  const { ipcMain, createChannel, dispatcher, pages, nowMs, logger } = options;
  ipcMain.on(PORT_CHANNEL, ({ senderFrame }) => {
    if (senderFrame === null || !isOwnFrame(senderFrame, pages)) {
      logger.warn({ url: senderFrame?.url ?? 'gone' }, 'A page that is not ours asked for a port');
      return;
    }
    const { port1, port2 } = createChannel();
    dispatcher.serve(electronPortTransport(port1, nowMs));
    senderFrame.postMessage(PORT_CHANNEL, null, [port2]);
  });
}
