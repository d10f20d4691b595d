import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  app,
  BrowserWindow,
  dialog,
  ipcMain,
  Menu,
  MessageChannelMain,
  nativeImage,
  nativeTheme,
  type NativeImage,
  Notification,
  protocol,
  safeStorage,
  screen,
  session,
  shell,
  Tray,
} from 'electron';
import type { Backend, createBackend } from '../backend.ts';
import { Dispatcher } from '../host/dispatcher.ts';
import type { Logger } from '../logger.ts';
import { dataDirectory } from '../settings/data-directory.ts';
import { AppWindow } from './app-window.ts';
import { deepLinkIn, SCHEME, WINDOW_URL } from './deep-link.ts';
import { menuTemplate } from './menu.ts';
import { DesktopNotifications } from './notifications.ts';
import { openPortDoor } from './port-door.ts';
import { windowProtocol, windowScheme } from './protocol.ts';
import { SafeStorageSecrets } from './safe-storage-secrets.ts';
import { lockNavigation, lockPermissions, ownPages, type OwnPages } from './security.ts';
import { claimSingleInstance } from './single-instance.ts';
import { TrayIcon } from './tray.ts';
import { Updates, type UpdaterLike } from './updater.ts';

export interface DesktopOptions {
  createBackend: typeof createBackend;
  loadUpdater: () => Promise<UpdaterLike>;
  logger: Logger;
  /** Built files: the window's directory, the preload script, and the icons. */
  files: { window: string; preload: string; resources: string };
  devServerUrl: string | undefined;
}

/** As in electron-builder.yml; Windows shows notifications only to applications that it knows by this. */
const APP_ID = 'app.headway.desktop';
/** Stopping waits for databases and logs; a hung one must not keep the application from ending. */
const STOP_WITHIN_MS = 5_000;

/** Runs Headway as a desktop application until it quits. */
export async function runDesktop(options: DesktopOptions): Promise<void> {
  try {
    await open(options);
  } catch (error) {
    options.logger.fatal({ err: error }, 'Headway could not start');
    dialog.showErrorBox('Headway could not start', error instanceof Error ? error.message : String(error));
    app.exit(1);
  }
}

async function open(options: DesktopOptions): Promise<void> {
  const { logger, files } = options;
  const directory = dataDirectory(process.env, process.platform, homedir());
  const pages = ownPages(options.devServerUrl);
  // A link that starts the application comes before there is a window to show it in.
  let requested = deepLinkIn(process.argv);
  let show = (path: string | null): void => void (requested = path ?? requested);
  if (!prepare(directory, pages, logger, (path) => show(path))) return;
  await app.whenReady();

  lockPermissions(session.defaultSession, pages);
  session.defaultSession.protocol.handle(SCHEME, windowProtocol(files.window));
  const secrets = await openSecrets(directory);
  const backend = await options.createBackend({ dataDirectory: directory, secrets });
  const dispatcher = new Dispatcher({ methods: backend.methods, streams: backend.streams, logger });
  openPortDoor({ ipcMain, createChannel: () => new MessageChannelMain(), dispatcher, pages, nowMs, logger });

  const window = makeWindow(directory, options);
  show = (path) => window.show(path);
  const notifications = new DesktopNotifications({
    create: (notification) => new Notification(notification),
    after: (delayMs, run) => void setTimeout(run, delayMs),
    show,
  });
  const tray = new TrayIcon({
    create: (image: NativeImage) => new Tray(image),
    image: (state) => nativeImage.createFromPath(join(files.resources, `tray-${state}.png`)),
    buildMenu: (template) => Menu.buildFromTemplate(template),
    setBadge: (count) => void app.setBadgeCount(count),
    platform: process.platform,
    show,
    quit: () => app.quit(),
  });
  backend.onNotify((event) => notifications.notify(event));
  backend.onWorst((worst, firing) => tray.setWorst(worst, firing));

  const updates = await updatesIfConfigured(options);
  const checkForUpdates = updates === null ? null : () => void updates.check({ quietly: false });
  const menu = menuTemplate({
    platform: process.platform,
    development: !app.isPackaged,
    show,
    checkForUpdates,
  });
  Menu.setApplicationMenu(Menu.buildFromTemplate(menu));
  quitInOrder(backend, dispatcher, logger);
  sayThatItGoesOn(notifications);
  app.on('activate', () => show(null));
  await backend.start();
  show(requested);
  void updates?.check({ quietly: true });
}

/**
 * What has to be settled before Electron is ready, and so without waiting for anything. False when another Headway
 * runs already; it has been brought to the front.
 */
function prepare(
  directory: string,
  pages: OwnPages,
  logger: Logger,
  show: (path: string | null) => void,
): boolean {
  // Settings and history lie where they do without Electron; Chromium's own files, and the lock of the single
  // instance, in a folder below. It must exist before it is named.
  const chromium = join(directory, 'electron');
  mkdirSync(chromium, { recursive: true, mode: 0o700 });
  app.setPath('userData', chromium);
  if (process.platform === 'win32') app.setAppUserModelId(APP_ID);
  if (!claimSingleInstance(app, show)) return false;
  protocol.registerSchemesAsPrivileged([windowScheme]);
  app.enableSandbox();
  if (app.isPackaged) app.setAsDefaultProtocolClient(SCHEME);
  lockNavigation(app, pages, (url) => {
    shell
      .openExternal(url)
      .catch((error: unknown) => logger.warn({ err: error }, 'A link could not be opened'));
  });
  return true;
}

function openSecrets(directory: string): Promise<SafeStorageSecrets> {
  return SafeStorageSecrets.open({
    safeStorage,
    platform: process.platform,
    file: join(directory, 'secrets.keyring.json'),
    consentToWeak: async () => {
      const detail =
        'No keyring was found, so who can read your files can read the password. An environment variable or a ' +
        'file of your own can hold it instead.';
      return (await ask('Store passwords weakly protected?', detail, ['Store', 'Do not store'])) === 0;
    },
  });
}

function makeWindow(directory: string, { files, devServerUrl, logger }: DesktopOptions): AppWindow {
  return new AppWindow({
    create: (options) => new BrowserWindow(options),
    workAreas: () => {
      const primary = screen.getPrimaryDisplay();
      const others = screen.getAllDisplays().filter(({ id }) => id !== primary.id);
      return [primary.workArea, ...others.map(({ workArea }) => workArea)];
    },
    darkBackground: () => nativeTheme.shouldUseDarkColors,
    stateFile: join(directory, 'window.json'),
    preload: files.preload,
    icon: process.platform === 'linux' ? join(files.resources, 'icon.png') : null,
    baseUrl: devServerUrl?.replace(/\/$/, '') ?? WINDOW_URL,
    nowMs,
    logger,
  });
}

const nowMs = () => performance.now();

async function ask(message: string, detail: string, buttons: string[]): Promise<number> {
  const cancelId = buttons.length - 1;
  return (await dialog.showMessageBox({ type: 'question', message, detail, buttons, cancelId })).response;
}

/** Updates exist where the application is installed and was built with a place to get them from. */
async function updatesIfConfigured({ loadUpdater, logger }: DesktopOptions): Promise<Updates | null> {
  const configured = app.isPackaged && existsSync(join(process.resourcesPath, 'app-update.yml'));
  return configured ? new Updates({ updater: await loadUpdater(), ask, logger }) : null;
}

/** Ends the lines, then the backend, then the application; whatever happens, the application ends. */
function quitInOrder(backend: Backend, dispatcher: Dispatcher, logger: Logger): void {
  let stopping = false;
  app.on('will-quit', (event) => {
    if (stopping) return;
    stopping = true;
    event.preventDefault();
    dispatcher.close('Headway quits');
    const late = setTimeout(() => app.exit(1), STOP_WITHIN_MS);
    backend
      .stop()
      .catch((error: unknown) => logger.error({ err: error }, 'The backend did not stop in order'))
      .finally(() => {
        clearTimeout(late);
        app.quit();
      });
  });
}

/** Closing the window does not stop the watch; that is said the first time. */
function sayThatItGoesOn(notifications: DesktopNotifications): void {
  let said = false;
  app.on('window-all-closed', () => {
    if (said) return;
    said = true;
    notifications.say(
      'Headway goes on watching',
      'It stays in the tray and tells you of alerts. Quit it there.',
    );
  });
}
