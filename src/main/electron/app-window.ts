import { readFileSync, writeFileSync } from 'node:fs';
import type { BrowserWindow, BrowserWindowConstructorOptions, Rectangle } from 'electron';
import type { HostLogger } from '../host/host-transport.ts';
import { fitBounds, MIN_HEIGHT, MIN_WIDTH, windowStateSchema, type WindowState } from './window-bounds.ts';

/** What is used of a BrowserWindow. */
export type WindowLike = Pick<
  BrowserWindow,
  | 'loadURL'
  | 'show'
  | 'focus'
  | 'restore'
  | 'maximize'
  | 'isMinimized'
  | 'isMaximized'
  | 'getNormalBounds'
  | 'isDestroyed'
> & {
  once(event: 'ready-to-show' | 'closed', listener: () => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  readonly webContents: {
    on(
      event: 'render-process-gone',
      listener: (event: unknown, details: { reason: string }) => void,
    ): unknown;
  };
};

interface AppWindowOptions {
  create: (options: BrowserWindowConstructorOptions) => WindowLike;
  /** Usable areas of the screens, the first screen's first. */
  workAreas: () => readonly [Rectangle, ...Rectangle[]];
  darkBackground: () => boolean;
  /** Where the window's place is remembered. */
  stateFile: string;
  preload: string;
  /** Icon file; null where the system takes it from the application. */
  icon: string | null;
  /** Of the window's pages, without a slash at the end. */
  baseUrl: string;
  nowMs: () => number;
  logger: HostLogger;
}

/** A page that crashes more often than this a minute is left alone: it would only burn the battery. */
const MAX_RELOADS = 3;

/**
 * The one window. It can be closed and shown again while the application goes on watching; a page that crashed is
 * loaded anew. Chromium's throttling of hidden pages stays on: alerts are judged in the main process.
 */
export class AppWindow {
  readonly #options: AppWindowOptions;
  #window: WindowLike | null = null;
  #path = '/';
  #reloadsAtMs: number[] = [];

  constructor(options: AppWindowOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#window !== null;
  }

  /** Brings the window to the front, opening it if it is closed; at `path`, or where it is when that is null. */
  show(path: string | null): void {
    if (this.#window === null) {
      this.#open(path ?? '/');
      return;
    }
    if (path !== null) this.#load(this.#window, path);
    if (this.#window.isMinimized()) this.#window.restore();
    this.#window.show();
    this.#window.focus();
  }

  #open(path: string): void {
    const { create, workAreas, darkBackground, preload, icon } = this.#options;
    const saved = this.#readState();
    const window = create({
      ...fitBounds(saved?.bounds ?? null, workAreas()),
      minWidth: MIN_WIDTH,
      minHeight: MIN_HEIGHT,
      title: 'Headway',
      show: false,
      backgroundColor: darkBackground() ? '#0f1113' : '#ffffff',
      ...(icon === null ? {} : { icon }),
      webPreferences: {
        preload,
        sandbox: true,
        contextIsolation: true,
        nodeIntegration: false,
        nodeIntegrationInWorker: false,
        nodeIntegrationInSubFrames: false,
        webSecurity: true,
        webviewTag: false,
        navigateOnDragDrop: false,
        spellcheck: false,
        backgroundThrottling: true,
      },
    });
    this.#window = window;
    window.once('ready-to-show', () => {
      if (saved?.maximized === true) window.maximize();
      window.show();
    });
    window.on('close', () => this.#writeState(window));
    window.once('closed', () => (this.#window = null));
    window.webContents.on('render-process-gone', (_event, { reason }) => this.#revive(window, reason));
    this.#load(window, path);
  }

  #load(window: WindowLike, path: string): void {
    this.#path = path;
    window.loadURL(this.#options.baseUrl + path).catch((error: unknown) => {
      this.#options.logger.error({ err: error, path }, 'The window could not be loaded');
    });
  }

  #revive(window: WindowLike, reason: string): void {
    this.#options.logger.error({ reason }, 'The page of the window is gone');
    const nowMs = this.#options.nowMs();
    this.#reloadsAtMs = this.#reloadsAtMs.filter((atMs) => nowMs - atMs < 60_000);
    if (reason === 'clean-exit' || window.isDestroyed() || this.#reloadsAtMs.length >= MAX_RELOADS) return;
    this.#reloadsAtMs.push(nowMs);
    this.#load(window, this.#path);
  }

  /** Where the window was left; null for the first time, or when the file was spoilt. */
  #readState(): WindowState | null {
    try {
      const text = readFileSync(this.#options.stateFile, 'utf8');
      return windowStateSchema.parse(JSON.parse(text));
    } catch {
      return null;
    }
  }

  /** At once, since the application may end with the window. Losing it costs a drag of the mouse. */
  #writeState(window: WindowLike): void {
    const state: WindowState = { bounds: window.getNormalBounds(), maximized: window.isMaximized() };
    try {
      writeFileSync(this.#options.stateFile, JSON.stringify(state));
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'The place of the window could not be remembered');
    }
  }
}
