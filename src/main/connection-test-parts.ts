// The two halves of "Test" with the draft's own secrets: what was just typed wins over what is stored.
import type { ConnectionSettings } from '../contract/settings.ts';
import { databasePassword } from './connection-source.ts';
import type { TestPart } from './connection-tester.ts';
import { testLogHost } from './logs/connection-steps.ts';
import type { HostKeys } from './logs/host-keys.ts';
import { resolveSecret } from './settings/resolve-secret.ts';
import type { SecretStore } from './settings/secrets.ts';
import { testPostalDatabase } from './sources/postal/connection-steps.ts';
