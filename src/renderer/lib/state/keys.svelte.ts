// Keys. Every action is registered with its words and its key, so that the palette and the help list them all.

export interface Action {
  id: string;
  /** What it does, as the palette says it: "Open the overview". */
  label: string;
  /** Heading it stands under in the help. */
  group: string;
  /** `r`, `g o` (one after the other), `Mod+k` (Ctrl, or ⌘ on a Mac), `Escape`; null: palette only. */
  key: string | null;
  /** Whether Mod+… and Escape aside, the key also works while a field has the focus. Default false. */
  run: () => void;
}

/** What is read of a KeyboardEvent. */
export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  target: EventTarget | null;
  preventDefault(): void;
}

/** A sequence such as `g o` must follow within this time. */
const SEQUENCE_MS = 1_000;

export class KeyMap {
  actions = $state.raw<readonly Action[]>([]);
  /** Keys of a sequence typed so far, for the window to show. */
  pending = $state('');
  /** True while a dialog has the keyboard: only Mod+… then works. */
  suspended = $state(false);
  readonly #now: () => number;
  #pendingAtMs = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Adds actions; a later registration wins a key over an earlier one. Returns the way to take them back. */
  register(actions: readonly Action[]): () => void {
    this.actions = [...this.actions, ...actions];
    return () => {
      this.actions = this.actions.filter((action) => !actions.includes(action));
    };
  }

  /** Runs what the key stands for; false when it stands for nothing here. */
  handle(press: KeyPress): boolean {
    const key = describe(press);
    const always = key.startsWith('Mod+') || key === 'Escape';
    if (this.suspended && !key.startsWith('Mod+')) return false;
    if (isTyping(press.target) && !always) return false;
    // They press the button or follow the link that has the focus.
    if ((key === 'Enter' || key === 'Space') && isPressable(press.target)) return false;
    const waiting = this.#now() - this.#pendingAtMs <= SEQUENCE_MS ? this.pending : '';
    this.pending = '';
    const typed = waiting === '' ? key : `${waiting} ${key}`;
    const action = this.#find(typed) ?? (waiting === '' ? undefined : this.#find(key));
    if (action !== undefined) {
      press.preventDefault();
      action.run();
      return true;
    }
    if (this.actions.some((candidate) => candidate.key?.startsWith(`${key} `) === true)) {
      this.pending = key;
      this.#pendingAtMs = this.#now();
      press.preventDefault();
      return true;
    }
    return false;
  }

  #find(key: string): Action | undefined {
    return this.actions.findLast((action) => action.key === key);
  }
}

function describe(press: KeyPress): string {
  const key = press.key === ' ' ? 'Space' : press.key;
  if (press.ctrlKey || press.metaKey) return `Mod+${key.toLowerCase()}`;
  if (press.altKey) return `Alt+${key.toLowerCase()}`;
  return key;
}

function isTyping(target: EventTarget | null): boolean {
  if (target === null || !('tagName' in target)) return false;
  const element = target as HTMLElement;
  if (element.isContentEditable || element.tagName === 'TEXTAREA' || element.tagName === 'SELECT')
    return true;
  if (element.tagName !== 'INPUT') return false;
  return !['checkbox', 'radio', 'button', 'range'].includes((element as HTMLInputElement).type);
}

function isPressable(target: EventTarget | null): boolean {
  if (target === null || !('tagName' in target)) return false;
  const { tagName } = target as HTMLElement;
  return ['BUTTON', 'A', 'INPUT', 'SUMMARY'].includes(tagName);
}

const capNames: Record<string, string> = {
  Escape: 'Esc',
  ArrowDown: '↓',
  ArrowUp: '↑',
  ArrowLeft: '←',
  ArrowRight: '→',
  PageDown: 'PgDn',
  PageUp: 'PgUp',
};

/** `Mod+k` as this system writes it. */
export function keyCaps(key: string, isMac: boolean): string[] {
  return key.split(' ').map((part) => {
    if (!part.startsWith('Mod+')) return capNames[part] ?? part;
    return `${isMac ? '⌘' : 'Ctrl '}${part.slice('Mod+'.length).toUpperCase()}`;
  });
}
