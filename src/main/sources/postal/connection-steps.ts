// The database half of "Test": one step after another, each with what it found, how long it took, and, when it
// failed, what to do. What comes after a failed step is skipped.
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { HeadwayError } from '../../../contract/errors.ts';
import type { DatabaseSettings, PostalConnection, Safety } from '../../../contract/settings.ts';
import { understandGrants } from '../grants.ts';
import { abortFailure, mysqlFailure } from '../mysql-errors.ts';
import { dial, MysqlSession } from '../mysql-session.ts';
import type { ReportStep } from '../source.ts';
import { StepFailed, TestSteps, type Finding } from '../test-steps.ts';
import { readClock } from './database-clock.ts';
import { MessageDatabases } from './message-databases.ts';
import { inspectSchema } from './postal-schema.ts';
import type { PostalAccess } from './postal-schema.ts';
import { grantRow, serverRow, statusTextRow } from './rows.ts';
import * as sql from './sql.ts';

export interface DatabaseTestOptions {
  database: DatabaseSettings;
  postal: PostalConnection['postal'];
  safety: Safety;
  /** Resolved; null when the account has none. */
  password: string | null;
  /** Local clock, epoch ms. */
  now: () => number;
  report: ReportStep;
}

const titles = {
  'database.resolve': 'Resolve host name',
  'database.connect': 'Connect',
  'database.tls': 'Encrypt',
  'database.authenticate': 'Authenticate',
  'database.grants': 'Read grants',
  'database.schema': 'Probe schema',
} as const;

/** A clock that is off by more is worth a word. */
const CLOCK_WARNING_MS = 1000;
/** The test is asked for by a person who waits: it may take longer than a poll. */
const STATEMENT_TIMEOUT_MS = 5000;

/** Runs all steps and reports each; an expected failure is a failed step, never thrown. Leaves no connection behind. */
export async function testDatabase(options: DatabaseTestOptions, signal: AbortSignal): Promise<void> {
  const { database, password, postal, now } = options;
  const encrypted = database.tls.mode !== 'disabled';
  const ids = Object.keys(titles) as (keyof typeof titles)[];
  const steps = new TestSteps(
    titles,
    ids.filter((id) => encrypted || id !== 'database.tls'),
    options,
  );
  await using opened = new AsyncDisposableStack();
  try {
    await steps.take('database.resolve', () => resolve(database, signal));
    const socket = await steps.take('database.connect', () => reach(database, signal, opened));
    // TLS and login are one handshake. It fails in the step that it failed in.
    const login = MysqlSession.open(
      { settings: database, password, statementTimeoutMs: STATEMENT_TIMEOUT_MS },
      signal,
      socket,
    );
    if (encrypted) await steps.take('database.tls', () => encryption(login, database, signal));
    const session = await steps.take('database.authenticate', async () => {
      const open = opened.use(await login);
      const { product, version, account } = open.server;
      return { value: open, detail: `${account} on ${product} ${version}` };
    });
    const access = await steps.take('database.grants', () => grants(session, options, signal));
    await steps.take('database.schema', () =>
      schema(session, access, new MessageDatabases(postal.messageDatabasePrefix), now, signal),
    );
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    steps.skipRest();
  }
}

async function resolve(database: DatabaseSettings, signal: AbortSignal): Promise<Finding<void>> {
  if (isIP(database.host) !== 0) return { value: undefined, detail: `${database.host} is an address` };
  // The system's resolver cannot be interrupted: after an abort it ends by itself.
  const looking = lookup(database.host, { all: true });
  const addresses = await unlessAborted(looking, database, signal);
  return { value: undefined, detail: addresses.map(({ address }) => address).join(', ') };
}

async function reach(
  database: DatabaseSettings,
  signal: AbortSignal,
  opened: AsyncDisposableStack,
): Promise<Finding<Socket>> {
  const socket = dial(database);
  opened.defer(() => void socket.destroy());
  await unlessAborted(once(socket, 'connect'), database, signal);
  // Until the login listens, an error only ends the socket; the login finds it ended.
  socket.on('error', () => undefined);
  return { value: socket, detail: `${socket.remoteAddress ?? database.host}:${database.port}` };
}

/** A refused login proves that TLS came about: only failures of the connection itself fail this step. */
async function encryption(
  login: Promise<MysqlSession>,
  database: DatabaseSettings,
  signal: AbortSignal,
): Promise<Finding<void>> {
  const checked = {
    disabled: 'not encrypted',
    required: 'certificate not checked',
    'verify-ca': 'certificate checked against its authority',
    'verify-identity': 'certificate checked against its authority and the host name',
  }[database.tls.mode];
  try {
    const status = await (await login).rows(statusTextRow, sql.tlsStatus, signal);
    const found = status.map((row) => row.Value).join(' ');
    return { value: undefined, detail: `${found}, ${checked}` };
  } catch (error) {
    const refused = ['authentication-failed', 'database-unknown', 'grant-missing'];
    if (!(error instanceof HeadwayError && refused.includes(error.code))) throw error;
    return { value: undefined, detail: checked };
  }
}

/** Reads what the account may do, and proves by the schema that it may read what is needed. */
async function grants(
  session: MysqlSession,
  { database, safety }: DatabaseTestOptions,
  signal: AbortSignal,
): Promise<Finding<PostalAccess | HeadwayError>> {
  const { reads, beyondReading } = understandGrants(await session.rows(grantRow, sql.grants, signal));
  const access = await inspectSchema(session, database, signal).catch((error: unknown) => {
    // A missing table is the next step's to tell; a missing grant is this one's.
    if (error instanceof HeadwayError && error.code === 'schema-mismatch') return error;
    throw error;
  });
  const mayRead = `May read ${reads.join(', ') || 'single tables only'}.`;
  if (beyondReading.length === 0 || safety !== 'read-only') return { value: access, detail: mayRead };
  const writes = beyondReading.map(({ place, privileges }) => `${privileges.join(', ')} on ${place}`);
  return {
    value: access,
    warning: true,
    detail: `${mayRead} The connection is read-only, but its account has more: ${writes.join('; ')}. Give it an account with SELECT alone.`,
  };
}

async function schema(
  session: MysqlSession,
  access: PostalAccess | HeadwayError,
  messages: MessageDatabases,
  now: () => number,
  signal: AbortSignal,
): Promise<Finding<void>> {
  if (access instanceof HeadwayError) throw access;
  const all = await session.rows(serverRow, sql.servers(access.organizations), signal);
  const servers = all.filter((server) => !server.deleted).map((server) => server.id);
  const readable = await messages.find(session, servers, signal);
  const clock = await readClock(session, access, now, signal);
  const clockIsOff = Math.abs(clock.offsetMs) - clock.errorMs > CLOCK_WARNING_MS;
  const warnings = [...access.warnings, ...messages.warnings(servers, readable, session.server.account)];
  const sentences = [
    `Postal with ${servers.length} servers, queue present, ${readable.size} of ${servers.length} message databases readable, clock ${signed(clock.offsetMs)} ms against this computer (± ${clock.errorMs.toFixed(0)} ms).`,
    ...(clockIsOff ? ["Ages are told by the database's clock; set both clocks by NTP."] : []),
    ...warnings,
  ];
  return { value: undefined, detail: sentences.join(' '), warning: clockIsOff || warnings.length > 0 };
}

const signed = (ms: number): string => `${ms < 0 ? '−' : '+'}${Math.abs(ms).toFixed(0)}`;

/** Waits for `work` until `signal` aborts; failures speak of the database's address. */
async function unlessAborted<T>(
  work: Promise<T>,
  database: DatabaseSettings,
  signal: AbortSignal,
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(abortFailure(signal, database));
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } catch (error) {
    throw mysqlFailure(error, database);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
