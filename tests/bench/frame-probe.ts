// Runs inside the measured page: frame times, long tasks, and the heap after a forced collection.

/** What one page cost over the measured time. */
export interface FrameReport {
  frames: number;
  p50Ms: number;
  p99Ms: number;
  worstMs: number;
  longestTaskMs: number;
  /** Median heap after a collection in the first and in the last third. */
  heapFirstBytes: number;
  heapLastBytes: number;
}

/**
 * Handed over as source text, so it must not refer to anything outside of itself. Needs Chromium with
 * --js-flags=--expose-gc. A frame and a task in which the probe itself forced a collection are not counted.
 */
export async function probeFrames(seconds: number): Promise<FrameReport> {
  const page = globalThis as unknown as {
    gc: () => void;
    performance: { now(): number; memory: { usedJSHeapSize: number } };
    requestAnimationFrame(callback: (atMs: number) => void): void;
    PerformanceObserver: new (callback: (list: { getEntries(): Entry[] }) => void) => {
      observe(options: { type: string }): void;
      disconnect(): void;
    };
  };
  interface Entry {
    startTime: number;
    duration: number;
  }
  const { performance } = page;
  const frames: number[] = [];
  const tasks: Entry[] = [];
  const collections: Entry[] = [];
  const heap: number[] = [];
  const observer = new page.PerformanceObserver((list) => tasks.push(...list.getEntries()));
  observer.observe({ type: 'longtask' });

  const beganMs = performance.now();
  const heapEveryMs = (seconds * 1000) / 15;
  let collectedMs = beganMs;
  let collected = false;
  await new Promise<void>((resolve) => {
    let lastMs = performance.now();
    const frame = (): void => {
      const nowMs = performance.now();
      if (!collected) frames.push(nowMs - lastMs);
      lastMs = nowMs;
      collected = false;
      if (nowMs - beganMs >= seconds * 1000) {
        resolve();
        return;
      }
      if (nowMs - collectedMs >= heapEveryMs) {
        page.gc();
        heap.push(performance.memory.usedJSHeapSize);
        collectedMs = performance.now();
        collections.push({ startTime: nowMs, duration: collectedMs - nowMs });
        collected = true;
      }
      page.requestAnimationFrame(frame);
    };
    page.requestAnimationFrame(frame);
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  observer.disconnect();

  const ownTasks = tasks.filter(
    (task) =>
      !collections.some(
        (own) =>
          own.startTime < task.startTime + task.duration && task.startTime < own.startTime + own.duration,
      ),
  );
  const sorted = frames.slice(1).sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const median = (values: number[]): number =>
    values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
  const third = Math.floor(heap.length / 3);
  return {
    frames: sorted.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    worstMs: at(1),
    longestTaskMs: Math.max(0, ...ownTasks.map(({ duration }) => duration)),
    heapFirstBytes: median(heap.slice(0, third)),
    heapLastBytes: median(heap.slice(-third)),
  };
}
