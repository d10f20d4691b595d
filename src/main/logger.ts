// The application's own log: one JSON line an event on stderr, secrets left out.
import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** Level by HEADWAY_LOG (default warn), to stderr. Keys that may hold a secret are redacted wherever they stand. */
export function createLogger(destination: DestinationStream = pino.destination(2)): Logger {
  return pino(
    {
      level: process.env['HEADWAY_LOG'] ?? 'warn',
      redact: ['password', 'passphrase', 'token', 'secrets', '*.password', '*.passphrase', '*.token'],
    },
    destination,
  );
}
