import { describe, expect, it } from 'vitest';
import type { Settings } from '../../contract/settings.ts';
import { editSettingsText } from './settings-edits.ts';
import { parseSettings } from './settings-text.ts';

const text = `// on-call: ask Ana
{
  "version": 1,
  "connections": [
    // the old cluster
    {
      "id": "old",
      "name": "Old", // until May
      "kind": "postal",
      "database": { "url": "mysql://u@old/postal" },
    },
    /* the new one */
    {
      "id": "new",
      "name": "New",
      "kind": "postal",
      "database": { "host": "new", "user": "u", "database": "postal" }, // no TLS yet
      "canaryTenants": ["mailflow"], // pages us
    },
  ],
  "alerts": { "lag": { "warning": 60 } }, // stricter
}
`;
/** The edited text, after it was checked to hold exactly what was meant. */
function edit(from: string, change: (settings: Settings) => void): string {
  const before = parseSettings(from, 'f');
  const after = structuredClone(before);
  change(after);
  const edited = editSettingsText(from, before, after);
  expect(parseSettings(edited, 'f')).toEqual(parseSettings(JSON.stringify(after), 'f'));
  return edited;
}
const connection = (settings: Settings, index: number) => {
  const found = settings.connections[index];
  if (found?.kind !== 'postal') throw new Error('no such connection');
  return found;
};

describe('editSettingsText', () => {
  it('leaves the text as it is when nothing changed', () => {
    expect(edit(text, () => undefined)).toBe(text);
  });

  it('changes one word for one changed value', () => {
    expect(edit(text, (s) => (connection(s, 1).name = 'Newest'))).toBe(text.replace('"New"', '"Newest"'));
  });

  it('writes a default only once it differs', () => {
    const edited = edit(text, (s) => (connection(s, 1).pollSeconds = 5));
    expect(edited).toContain('"pollSeconds": 5');
    expect(edited).not.toContain('windowSeconds');
    for (const comment of [
      '// on-call: ask Ana',
      '// until May',
      '// no TLS yet',
      '// pages us',
      '// stricter',
    ]) {
      expect(edited).toContain(comment);
    }
  });

  it('removes a connection with its own lines and keeps the other as it stands', () => {
    const edited = edit(text, (s) => s.connections.shift());
    expect(edited).toContain(text.slice(text.indexOf('    /* the new one */')));
    expect(edited).not.toContain('"old"');
  });

  it('adds a connection behind the others', () => {
    const edited = edit(text, (s) => s.connections.push({ ...connection(s, 1), id: 'third' }));
    expect(edited.startsWith(text.slice(0, text.indexOf('  ],')).trimEnd().slice(0, -1))).toBe(true);
    expect(edited).toContain('      "id": "third"');
  });

  it('writes a URL out as fields once one of them changes', () => {
    const edited = edit(text, (s) => (connection(s, 0).database.host = 'older'));
    expect(edited).not.toContain('mysql://');
    expect(edited).toContain('"host": "older"');
  });

  it('changes the place of a secret', () => {
    const withSecret = edit(text, (s) => (connection(s, 1).database.password = { env: 'PW' }));
    const stored = edit(withSecret, (s) => (connection(s, 1).database.password = { stored: 'new.database' }));
    expect(stored).toContain('"stored": "new.database"');
    expect(stored).not.toContain('"env"');
  });

  it('adds and removes rules and list elements in files without a comma to spare', () => {
    const compact = '{"version":1,"connections":[],"alerts":{"lag":{"warning":1}}}';
    expect(edit(compact, (s) => (s.alerts = {}))).toBe('{"version":1,"connections":[],"alerts":{}}');
    const canaries = edit(text, (s) => (connection(s, 1).canaryTenants = ['3', '5']));
    const fewer = edit(canaries, (s) => (connection(s, 1).canaryTenants = ['3']));
    expect(edit(fewer, (s) => (connection(s, 1).canaryTenants = []))).toContain('// pages us');
  });

  it('removes the only property before a trailing comma', () => {
    expect(
      edit('{ "version": 1, "alerts": { "lag": { "enabled": false }, }, }', (s) => (s.alerts = {})),
    ).toBe('{ "version": 1, "alerts": {  }, }');
  });

  it('keeps tabs and Windows line ends', () => {
    const windows = text.replaceAll('\n', '\r\n').replaceAll('  ', '\t');
    const edited = edit(windows, (s) => (connection(s, 1).windowSeconds = 30));
    expect(edited.replaceAll('\r\n', '')).not.toContain('\n');
    expect(edited).toContain('\r\n\t\t\t"windowSeconds": 30');
  });

  it('knows a kind of job by its name, and keeps what stands beside it', () => {
    const jobs = `{
  "version": 1,
  "engine": {
    "kinds": [
      // thumbnails of everything
      { "kind": "thumbnail", "handler": { "type": "command", "command": ["thumb"] } }, // fast
      // tells the shop
      { "kind": "notify", "handler": { "type": "http", "url": "https://shop.example/notify" } },
    ],
  },
}
`;
    const removed = edit(jobs, (s) => s.engine.kinds.shift());
    expect(removed).not.toContain('"thumb"');
    expect(removed).toContain('// tells the shop\n      { "kind": "notify"');
    const changed = edit(jobs, (s) => {
      const [thumbnail] = s.engine.kinds;
      if (thumbnail?.handler.type === 'command') thumbnail.handler.command = ['thumb', '--small'];
    });
    for (const kept of ['// thumbnails of everything', '// fast', '// tells the shop', '"--small"'])
      expect(changed).toContain(kept);
    const added = edit(jobs, (s) => (s.engine.workers = 4));
    expect(added).toContain('"workers": 4');
    expect(added).toContain('// fast');
  });
});
