import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const MAX_SESSIONS = 16;
const SESSION_MS = 30 * 24 * 3600 * 1000;

const fileSchema = z.strictObject({
  token: z.string().min(43),
  /** SHA-256 of each session's cookie, newest last: the file alone lets nobody take over a session. */
  sessions: z.array(z.strictObject({ hash: z.string(), createdAtMs: z.number() })),
});
type Access = z.infer<typeof fileSchema>;

/**
 * Who may use the web face: a random token, good for one exchange against a session, and the sessions given.
 * Both live in a file only its owner can read, so a restart signs nobody out.
 */
export class WebAccess {
  readonly file: string;
  readonly #nowMs: () => number;
  #access: Access;
  #writing: Promise<void> = Promise.resolve();

  /** Reads the file, or makes a new one where there is none or it cannot be understood. */
  static async open(dataDirectory: string, nowMs: () => number): Promise<WebAccess> {
    await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
    const file = join(dataDirectory, 'web-access.json');
    const web = new WebAccess(file, nowMs, (await readAccess(file)) ?? { token: secret(), sessions: [] });
    await web.#write();
    return web;
  }

  private constructor(file: string, nowMs: () => number, access: Access) {
    this.file = file;
    this.#nowMs = nowMs;
    this.#access = access;
  }

  /** The token of the moment; another one after each exchange. */
  get token(): string {
    return this.#access.token;
  }

  /** A new session's secret for the right token, which is spent by it; null for a wrong one. */
  async exchange(token: string): Promise<string | null> {
    if (!equal(token, this.#access.token)) return null;
    const session = secret();
    const createdAtMs = this.#nowMs();
    const live = this.#access.sessions.filter((s) => this.#isLive(s)).slice(1 - MAX_SESSIONS);
    this.#access = { token: secret(), sessions: [...live, { hash: sha256(session), createdAtMs }] };
    await this.#write();
    return session;
  }

  isSession(session: string): boolean {
    const hash = sha256(session);
    let found = false;
    // Every session is compared, so that the time taken tells nothing.
    for (const known of this.#access.sessions) {
      if (equal(hash, known.hash) && this.#isLive(known)) found = true;
    }
    return found;
  }

  #isLive(session: { createdAtMs: number }): boolean {
    return this.#nowMs() - session.createdAtMs < SESSION_MS;
  }

  /** Writes happen one after another, each whole: a new file takes the old one's place. */
  #write(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const next = `${this.file}.new`;
        await writeFile(next, `${JSON.stringify(this.#access, null, 2)}\n`, { mode: 0o600 });
        // The mode above holds for new files only.
        await chmod(next, 0o600);
        await rename(next, this.file);
      });
    return this.#writing;
  }
}

async function readAccess(file: string): Promise<Access | null> {
  try {
    return fileSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    // Missing or spoilt: a new token costs one look at the terminal.
    return null;
  }
}

/** 256 random bits. */
const secret = () => randomBytes(32).toString('base64url');
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');
/** In constant time, whatever the lengths: the hashes are of equal length. */
const equal = (a: string, b: string) =>
  timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
