import type { HostLogger } from '../host/host-transport.ts';

/** What is used of electron-updater. */
export interface UpdaterLike {
  autoDownload: boolean;
  autoInstallOnAppQuit: boolean;
  checkForUpdates(): Promise<{ isUpdateAvailable: boolean; updateInfo: { version: string } } | null>;
  downloadUpdate(): Promise<unknown>;
  quitAndInstall(): void;
}

interface UpdaterOptions {
  updater: UpdaterLike;
  /** Asks a question whose answer is one of the buttons, by index. */
  ask: (question: string, detail: string, buttons: string[]) => Promise<number>;
  logger: HostLogger;
}

/** Updates, each step asked for: nothing is downloaded or installed without a word. */
export class Updates {
  readonly #options: UpdaterOptions;
  #busy = false;

  constructor(options: UpdaterOptions) {
    this.#options = options;
    options.updater.autoDownload = false;
    options.updater.autoInstallOnAppQuit = false;
  }

  /** Looks for a newer version. `quietly`: says nothing when there is none, or when it cannot be known. */
  async check({ quietly }: { quietly: boolean }): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#check(quietly);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'The update failed');
      if (!quietly) {
        const reason = error instanceof Error ? error.message : String(error);
        await this.#options.ask('The update failed', reason, ['Close']);
      }
    } finally {
      this.#busy = false;
    }
  }

  async #check(quietly: boolean): Promise<void> {
    const { updater, ask } = this.#options;
    const found = await updater.checkForUpdates();
    if (found?.isUpdateAvailable !== true) {
      if (!quietly) await ask('Headway is up to date', '', ['Close']);
      return;
    }
    const { version } = found.updateInfo;
    const wanted = await ask(`Headway ${version} is available`, 'Download it now?', ['Download', 'Not now']);
    if (wanted !== 0) return;
    await updater.downloadUpdate();
    const detail = 'Installing it closes Headway; nothing is watched until it is open again.';
    const answer = await ask(`Headway ${version} is ready`, detail, ['Install and restart', 'When I quit']);
    if (answer === 0) updater.quitAndInstall();
    else updater.autoInstallOnAppQuit = true;
  }
}
