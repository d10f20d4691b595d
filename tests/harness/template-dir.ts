// A folder that is costly to make, made once per machine and then copied.
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * The folder `name` among the temporary folders, filled by `build` when it does not exist. Two processes may
 * ask at the same time: each builds a folder of its own, and renaming it into place succeeds for one only.
 */
export async function templateDir(name: string, build: (path: string) => Promise<void>): Promise<string> {
  const final = join(tmpdir(), name);
  if (await exists(final)) return final;
  const building = await mkdtemp(`${final}-building-`);
  try {
    await build(building);
    await rename(building, final);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    if (!(await exists(final))) throw error;
  }
  return final;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
