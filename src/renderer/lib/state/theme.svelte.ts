// Dark or light: the system's choice, or a person's, remembered in this browser or window.
const modes = ['system', 'dark', 'light'] as const;
export type ThemeMode = (typeof modes)[number];
const KEY = 'headway.theme';

export class Theme {
  mode = $state<ThemeMode>('system');
  /** Grows with every change of colours, the system's too: charts redraw on it. */
  version = $state(0);
  readonly #root: HTMLElement;
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'>;

  constructor(root: HTMLElement, storage: Pick<Storage, 'getItem' | 'setItem'>, system: MediaQueryList) {
    this.#root = root;
    this.#storage = storage;
    system.addEventListener('change', () => (this.version += 1));
    const stored = modes.find((mode) => mode === storage.getItem(KEY));
    this.set(stored ?? 'system');
  }

  set(mode: ThemeMode): void {
    this.mode = mode;
    this.#storage.setItem(KEY, mode);
    if (mode === 'system') delete this.#root.dataset['theme'];
    else this.#root.dataset['theme'] = mode;
    this.version += 1;
  }

  /** system → dark → light → system. */
  next(): void {
    this.set(modes[(modes.indexOf(this.mode) + 1) % modes.length] ?? 'system');
  }
}
