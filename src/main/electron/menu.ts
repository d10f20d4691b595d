import type { MenuItemConstructorOptions } from 'electron';

interface MenuOptions {
  platform: NodeJS.Platform;
  /** Developer tools and reload are for those who build Headway. */
  development: boolean;
  show: (path: string | null) => void;
  /** Null where updates come from elsewhere. */
  checkForUpdates: (() => void) | null;
}

/**
 * The application menu. It holds what the system expects (edit, window, quit) and the views; what acts on data is in
 * the window alone, behind its confirmations.
 */
export function menuTemplate(options: MenuOptions): MenuItemConstructorOptions[] {
  const { platform, development, show, checkForUpdates } = options;
  const isMac = platform === 'darwin';
  const updates: MenuItemConstructorOptions[] =
    checkForUpdates === null ? [] : [{ label: 'Check for Updates…', click: checkForUpdates }];
  const appMenu: MenuItemConstructorOptions = {
    role: 'appMenu',
    submenu: [
      { role: 'about' },
      ...updates,
      { type: 'separator' },
      { label: 'Settings…', accelerator: 'Cmd+,', click: () => show('/settings') },
      { type: 'separator' },
      { role: 'hide' },
      { role: 'hideOthers' },
      { role: 'unhide' },
      { type: 'separator' },
      { role: 'quit' },
    ],
  };
  return [
    ...(isMac ? [appMenu] : []),
    {
      label: '&File',
      submenu: [
        { label: 'Connections…', click: () => show('/connections') },
        ...(isMac ? [] : [{ label: 'Settings…', accelerator: 'Ctrl+,', click: () => show('/settings') }]),
        { type: 'separator' },
        { role: 'close' },
        ...(isMac ? [] : [{ role: 'quit' as const }]),
      ],
    },
    { role: 'editMenu' },
    {
      label: '&View',
      submenu: [
        { label: 'Overview', click: () => show('/') },
        { label: 'Alerts', click: () => show('/alerts') },
        { type: 'separator' },
        { role: 'resetZoom' },
        { role: 'zoomIn' },
        { role: 'zoomOut' },
        { role: 'togglefullscreen' },
        ...(development
          ? [{ type: 'separator' as const }, { role: 'reload' as const }, { role: 'toggleDevTools' as const }]
          : []),
      ],
    },
    { role: 'windowMenu' },
    ...(isMac || updates.length === 0 ? [] : [{ role: 'help' as const, submenu: updates }]),
  ];
}
