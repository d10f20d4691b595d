import { describe, expect, it } from 'vitest';
import { FrameReader, type Frame } from './frame-reader.ts';

const stream = Buffer.from('W\nO 12 0 9\nD 12 0 9\nab\nD 1 2\nT 12\nS 700\nL 12\nD 13 5 2\nxy');

describe('FrameReader', () => {
  it('reads the same frames for every split of the bytes', () => {
    for (let size = 1; size <= stream.length; size += 1) {
      const reader = new FrameReader();
      const frames: Frame[] = [];
      for (let at = 0; at < stream.length; at += size) {
        frames.push(...reader.push(stream.subarray(at, at + size)));
      }
      let data = '';
      let next = 0;
      for (const frame of frames) {
        if (frame.kind !== 'data') continue;
        if (frame.inode === '12') expect(frame.offset).toBe(next);
        next += frame.bytes.length;
        data += `${frame.inode}:${frame.bytes.toString()};`;
      }
      expect(data.replaceAll(/;\d+:/g, '')).toBe('12:ab\nD 1 2\nxy;');
      expect(frames.filter((frame) => frame.kind !== 'data')).toEqual([
        { kind: 'waiting' },
        { kind: 'opened', inode: '12', start: 0, size: 9 },
        { kind: 'truncated', inode: '12' },
        { kind: 'skipped', bytes: 700 },
        { kind: 'lost', inode: '12' },
      ]);
    }
  });

  it('says what it saw when the host sends something else', () => {
    expect(() => [...new FrameReader().push(Buffer.from('Welcome to host\n'))]).toThrow('Welcome to host');
    expect(() => [...new FrameReader().push(Buffer.alloc(5_000, 'x'))]).toThrow('unexpected output');
  });
});
