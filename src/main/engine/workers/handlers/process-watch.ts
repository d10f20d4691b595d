// Looks once a second at the programs that run: what their processes are, and how much memory they hold (incident 3:
// 2.4 GB before anybody looked). One look at the process table serves all of them.
import type { Clock } from '../../clock.ts';
import { OrphanGuard } from './orphan-guard.ts';
import type { ProcessGroup } from './process-group.ts';
import { fairMemoryOf, memoryOf, readProcesses } from './process-table.ts';

const EVERY_MS = 1_000;

interface Watch {
  limitBytes: number;
  /** Resident memory of the program's processes. */
  onMemory: (bytes: number) => void;
  /** They hold more than the limit, with shared pages counted once. */
  onOver: (bytes: number) => void;
}

export class ProcessWatch implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #guard = new OrphanGuard();
  readonly #watched = new Map<ProcessGroup, Watch>();
  #takeBack: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A program is about to be started: what guards it against our death must be there first. */
  prepare(): void {
    this.#guard.prepare();
  }

  /** From now on; the function returned ends it: the program has ended. Until then it does not outlive this process. */
  watch(group: ProcessGroup, watch: Watch): () => void {
    this.#guard.add(group.pid);
    this.#watched.set(group, watch);
    this.#takeBack ??= this.#clock.after(EVERY_MS, () => void this.#look());
    return () => {
      this.#guard.remove(group.pid);
      this.#watched.delete(group);
      if (this.#watched.size > 0) return;
      this.#takeBack?.();
      this.#takeBack = null;
    };
  }

  /** The programs must have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#takeBack?.();
    this.#takeBack = null;
    this.#watched.clear();
    await this.#guard[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const turn = this.#takeBack;
    try {
      const rows = await readProcesses();
      for (const [group, { limitBytes, onMemory, onOver }] of [...this.#watched]) {
        const mine = group.see(rows);
        const bytes = await memoryOf(mine);
        onMemory(bytes);
        if (bytes <= limitBytes) continue;
        // Programs that fork share most of their memory: they are not ended for what they only seem to hold.
        const fairBytes = await fairMemoryOf(mine);
        if (fairBytes > limitBytes) onOver(fairBytes);
      }
    } catch {
      // The table could not be read just now; the next look may find it.
    }
    // Ended, or begun anew, meanwhile.
    if (this.#takeBack !== turn) return;
    this.#takeBack = this.#clock.after(EVERY_MS, () => void this.#look());
  }
}
