// The application's own log: one JSON line an event on stderr, secrets left out.
import { pino, type Logger } from 'pino';

export type { Logger };

/** Level by HEADWAY_LOG (default warn). Keys that may hold a secret are redacted wherever they stand. */
export function createLogger(): Logger {
  return pino(
    {
      level: process.env['HEADWAY_LOG'] ?? 'warn',
      redact: ['password', 'passphrase', 'token', 'secrets', '*.password', '*.passphrase', '*.token'],
    },
    pino.destination(2),
  );
}
