// The library of rehearsals as the backend tells it, with nothing behind the switches.
import type { Incident, Rehearsal, RehearsalChange } from '../../../src/contract/rehearsal.ts';

const library: Rehearsal['library'] = [
  { incident: 1, title: 'Head-of-line blocking' },
  { incident: 2, title: 'A slow consumer' },
  { incident: 3, title: 'A hanging script' },
  { incident: 4, title: 'A failing dependency' },
];
type Piece = Pick<Rehearsal, 'story' | 'speed' | 'expectedMs' | 'switches' | 'action'>;
const toggle = (id: string, label: string): Rehearsal['switches'][number] => ({
  id,
  label,
  value: 'off',
  options: [
    { value: 'off', label: 'off' },
    { value: 'on', label: 'on' },
  ],
});
const pieces: Record<Incident, Piece> = {
  1: {
    story: 'edify queues 50 jobs at once; mailflow, queued just after, waits for all of them.',
    speed: 10,
    expectedMs: 180_000,
    switches: [
      {
        id: 'order',
        label: 'Order',
        value: 'first-come',
        options: [
          { value: 'first-come', label: 'first come' },
          { value: 'fair', label: 'fair' },
        ],
      },
      {
        id: 'workers',
        label: 'Workers',
        value: '2',
        options: [
          { value: '2', label: '2' },
          { value: '10', label: '10' },
        ],
      },
    ],
    action: { label: 'Queue a burst', hint: '50 jobs of edify at once' },
  },
  2: {
    story: 'One consumer reads its answer slowly; the others wait behind it.',
    speed: 1,
    expectedMs: null,
    switches: [toggle('backpressure', 'Back-pressure'), toggle('workers', 'A worker per core')],
    action: { label: 'Slow a consumer', hint: 'The next answer is read at 64 kB a second' },
  },
  3: {
    story: 'A script hangs and grows; without timeouts its worker is lost to it.',
    speed: 60,
    expectedMs: 1_200_000,
    switches: [toggle('timeouts', 'Timeouts'), toggle('memory', 'Memory limit'), toggle('probe', 'Probe')],
    action: { label: 'Hang the script', hint: 'The next job of documents never ends by itself' },
  },
  4: {
    story: 'The service behind embed answers 429; jobs that wait for it pile up as blocked.',
    speed: 10,
    expectedMs: null,
    switches: [
      toggle('classes', 'Error classes'),
      toggle('breaker', 'Breaker'),
      toggle('throttle', 'Throttle'),
    ],
    action: { label: 'Fail the service', hint: 'It refuses calls for a minute' },
  },
};

export class RehearsalPlay {
  now: Rehearsal;

  constructor(nowMs: number) {
    this.now = this.#begin(1, nowMs);
  }

  change({ incident, switches = {} }: RehearsalChange, nowMs: number): Rehearsal {
    if (incident !== undefined && incident !== this.now.incident) this.now = this.#begin(incident, nowMs);
    this.now = {
      ...this.now,
      switches: this.now.switches.map((one) => ({ ...one, value: switches[one.id] ?? one.value })),
    };
    return this.now;
  }

  /** Whether any switch is turned to the cure. */
  get cured(): boolean {
    return this.now.switches.some((one) => one.value !== one.options[0]?.value);
  }

  #begin(incident: Incident, nowMs: number): Rehearsal {
    return {
      incident,
      library,
      ...pieces[incident],
      nextAtMs: nowMs + 30_000,
      canaryTenants: incident === 1 ? ['mailflow'] : [],
    };
  }
}
