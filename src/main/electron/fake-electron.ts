// Stand-ins for the pieces of Electron that the shell uses, for unit tests only: Electron itself needs its binary and
// a screen. Each does what the documentation of the real one says, as far as the shell relies on it.
import { EventEmitter } from 'node:events';
import type {
  BrowserWindowConstructorOptions,
  HandlerDetails,
  MenuItemConstructorOptions,
  NotificationConstructorOptions,
  Rectangle,
  WindowOpenHandlerResponse,
} from 'electron';
import type { SafeStorageLike } from './safe-storage-secrets.ts';
import type { SessionLike } from './security.ts';
import type { NotificationLike } from './notifications.ts';

/** An event that can be prevented. */
export class FakeEvent {
  prevented = false;
  readonly url: string;
  constructor(url = '') {
    this.url = url;
  }
  preventDefault(): void {
    this.prevented = true;
  }
}

export class FakeApp extends EventEmitter {
  isFirst = true;
  quits = 0;
  requestSingleInstanceLock(): boolean {
    return this.isFirst;
  }
  quit(): void {
    this.quits += 1;
  }
}

export class FakeContents extends EventEmitter {
  #openHandler: ((details: HandlerDetails) => WindowOpenHandlerResponse) | null = null;
  setWindowOpenHandler(handler: (details: HandlerDetails) => WindowOpenHandlerResponse): void {
    this.#openHandler = handler;
  }
  /** `window.open` or a click on a link with a target: what the handler decides. */
  openWindow(url: string): string {
    const details: HandlerDetails = {
      url,
      frameName: '',
      features: '',
      disposition: 'foreground-tab',
      referrer: { url: '', policy: 'default' },
    };
    // Without a handler Electron opens the window.
    return this.#openHandler?.(details).action ?? 'allow';
  }
  /** True when the page may go there. */
  navigate(event: 'will-navigate' | 'will-redirect' | 'will-frame-navigate', url: string): boolean {
    const details = new FakeEvent(url);
    this.emit(event, details);
    return !details.prevented;
  }
}

type RequestHandler = Exclude<Parameters<SessionLike['setPermissionRequestHandler']>[0], null>;
type CheckHandler = Exclude<Parameters<SessionLike['setPermissionCheckHandler']>[0], null>;
type DeviceHandler = Exclude<Parameters<SessionLike['setDevicePermissionHandler']>[0], null>;

/** Grants everything until handlers are set, as Electron does. */
export class FakeSession implements SessionLike {
  #request: RequestHandler | null = null;
  #check: CheckHandler | null = null;
  #device: DeviceHandler | null = null;
  setPermissionRequestHandler(handler: RequestHandler | null): void {
    this.#request = handler;
  }
  setPermissionCheckHandler(handler: CheckHandler | null): void {
    this.#check = handler;
  }
  setDevicePermissionHandler(handler: DeviceHandler | null): void {
    this.#device = handler;
  }
  /** Whether a page gets a permission, by both ways a page can come to it. */
  grants(permission: Parameters<CheckHandler>[1], url: string): { asked: boolean; checked: boolean } {
    let asked = this.#request === null;
    // The contents are not looked at: the page may be any.
    const contents = null as unknown as Parameters<RequestHandler>[0];
    const details = { requestingUrl: url, isMainFrame: true };
    this.#request?.(contents, permission, (granted) => (asked = granted), details);
    const checked = this.#check?.(null, permission, new URL(url).href, details) ?? true;
    return { asked, checked };
  }
  grantsDevice(): boolean {
    const details = { deviceType: 'hid', origin: 'headway://app' } as Parameters<DeviceHandler>[0];
    return this.#device?.(details) ?? false;
  }
}

export class FakeTray extends EventEmitter {
  image: string;
  tooltip = '';
  menu: MenuItemConstructorOptions[] = [];
  imagesSet = 0;
  destroyed = false;
  constructor(image: string) {
    super();
    this.image = image;
  }
  setImage(image: string): void {
    this.image = image;
    this.imagesSet += 1;
  }
  setToolTip(text: string): void {
    this.tooltip = text;
  }
  setContextMenu(menu: MenuItemConstructorOptions[] | null): void {
    this.menu = menu ?? [];
  }
  destroy(): void {
    this.destroyed = true;
  }
}

export class FakeNotification extends EventEmitter implements NotificationLike {
  readonly options: NotificationConstructorOptions;
  shown = false;
  closed = false;
  constructor(options: NotificationConstructorOptions) {
    super();
    this.options = options;
  }
  show(): void {
    this.shown = true;
  }
  close(): void {
    this.closed = true;
    this.emit('close');
  }
}

export class FakeWindow extends EventEmitter {
  readonly webContents = new EventEmitter();
  readonly options: BrowserWindowConstructorOptions;
  loaded: string[] = [];
  shown = 0;
  focused = 0;
  minimized = false;
  maximized = false;
  bounds: Rectangle;
  #destroyed = false;
  constructor(options: BrowserWindowConstructorOptions) {
    super();
    this.options = options;
    const { x = 0, y = 0, width = 800, height = 600 } = options;
    this.bounds = { x, y, width, height };
  }
  loadURL(url: string): Promise<void> {
    this.loaded.push(url);
    return Promise.resolve();
  }
  show(): void {
    this.shown += 1;
  }
  focus(): void {
    this.focused += 1;
  }
  restore(): void {
    this.minimized = false;
  }
  maximize(): void {
    this.maximized = true;
  }
  isMinimized(): boolean {
    return this.minimized;
  }
  isMaximized(): boolean {
    return this.maximized;
  }
  getNormalBounds(): Rectangle {
    return this.bounds;
  }
  isDestroyed(): boolean {
    return this.#destroyed;
  }
  /** The user closes the window. */
  userCloses(): void {
    this.emit('close');
    this.#destroyed = true;
    this.emit('closed');
  }
}

/** Encrypts by turning bytes over, and refuses what another key has encrypted. */
export class FakeSafeStorage implements SafeStorageLike {
  available = true;
  backend: ReturnType<SafeStorageLike['getSelectedStorageBackend']> = 'gnome_libsecret';
  key = 0xaa;
  rotated = false;
  isAsyncEncryptionAvailable(): Promise<boolean> {
    return Promise.resolve(this.available);
  }
  getSelectedStorageBackend(): ReturnType<SafeStorageLike['getSelectedStorageBackend']> {
    return this.backend;
  }
  encryptStringAsync(text: string): Promise<Buffer> {
    return Promise.resolve(Buffer.from([this.key, ...Buffer.from(text).map((byte) => byte ^ this.key)]));
  }
  decryptStringAsync(encrypted: Buffer): Promise<{ result: string; shouldReEncrypt: boolean }> {
    if (encrypted[0] !== this.key) return Promise.reject(new Error('Error while decrypting the ciphertext'));
    const result = Buffer.from(encrypted.subarray(1).map((byte) => byte ^ this.key)).toString();
    return Promise.resolve({ result, shouldReEncrypt: this.rotated });
  }
}

/** One end of a channel; what one end posts the other gets, once it has started. */
export class FakePort extends EventEmitter {
  other: FakePort | null = null;
  #waiting: unknown[] | null = [];
  postMessage(message: unknown): void {
    this.other?.receive(message);
  }
  receive(data: unknown): void {
    if (this.#waiting === null) this.emit('message', { data });
    else this.#waiting.push(data);
  }
  start(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const data of waiting) this.emit('message', { data });
  }
  close(): void {
    const { other } = this;
    this.other = null;
    this.emit('close');
    if (other?.other === this) other.close();
  }
}

export function fakeChannel(): { port1: FakePort; port2: FakePort } {
  const port1 = new FakePort();
  const port2 = new FakePort();
  port1.other = port2;
  port2.other = port1;
  return { port1, port2 };
}
