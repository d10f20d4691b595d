import type { MenuItemConstructorOptions } from 'electron';
import type { Severity } from '../../core/alert.ts';

type TrayState = 'normal' | Severity;

/** What the tray shows for the worst alert that fires. The icons differ in shape as well as in colour. */
function trayLook(worst: Severity | null, firing: number): { state: TrayState; text: string } {
  if (worst === null || firing === 0) return { state: 'normal', text: 'No alert fires' };
  const alerts = firing === 1 ? '1 alert fires' : `${firing} alerts fire`;
  return { state: worst, text: worst === 'critical' ? `Critical: ${alerts}` : `Warning: ${alerts}` };
}

/** What is used of Electron's Tray, with its types of images and menus. */
export interface TrayLike<Image, Menu> {
  setImage(image: Image): void;
  setToolTip(text: string): void;
  setContextMenu(menu: Menu | null): void;
  on(event: 'click', listener: () => void): unknown;
  destroy(): void;
}

interface TrayOptions<Image, Menu> {
  create: (image: Image) => TrayLike<Image, Menu>;
  image: (state: TrayState) => Image;
  buildMenu: (template: MenuItemConstructorOptions[]) => Menu;
  /** The number on the dock's or the launcher's icon, where there is one. */
  setBadge: (count: number) => void;
  /** On macOS a click opens the menu, so that it must not open the window too. */
  platform: NodeJS.Platform;
  show: (path: string | null) => void;
  quit: () => void;
}

/** The icon beside the clock: the worst state at a glance, the window at a click. */
export class TrayIcon<Image, Menu> {
  readonly #options: TrayOptions<Image, Menu>;
  readonly #tray: TrayLike<Image, Menu>;
  #shown = '';

  constructor(options: TrayOptions<Image, Menu>) {
    this.#options = options;
    this.#tray = options.create(options.image('normal'));
    if (options.platform !== 'darwin') this.#tray.on('click', () => options.show(null));
    this.setWorst(null, 0);
  }

  setWorst(worst: Severity | null, firing: number): void {
    const { state, text } = trayLook(worst, firing);
    // Changing the icon makes some desktops blink it.
    if (this.#shown === text) return;
    this.#shown = text;
    const { image, buildMenu, setBadge, show, quit } = this.#options;
    this.#tray.setImage(image(state));
    this.#tray.setToolTip(`Headway. ${text}`);
    this.#tray.setContextMenu(
      buildMenu([
        { label: text, click: () => show('/alerts') },
        { type: 'separator' },
        { label: 'Open Headway', click: () => show(null) },
        { label: 'Quit and stop watching', click: quit },
      ]),
    );
    setBadge(state === 'normal' ? 0 : firing);
  }

  [Symbol.dispose](): void {
    this.#tray.destroy();
  }
}
