import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The system's limit for the path of a unix socket is 107 bytes on Linux and 103 on macOS. */
const PATH_BYTES_MAX = 100;

/**
 * Path for the socket of the database server: in `folder`, or where that path would be too long, in a private folder
 * for temporary files. Its name follows from `folder`, so that starts after a crash reuse it and none pile up.
 *
 * Throws when that private folder exists and belongs to somebody else.
 */
export function socketFileFor(folder: string): string {
  const file = join(folder, 'mysqld.sock');
  if (Buffer.byteLength(file) <= PATH_BYTES_MAX) return file;

  const short = join(tmpdir(), `fastpass-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`);
  mkdirSync(short, { recursive: true, mode: 0o700 });
  const state = lstatSync(short);
  if (!state.isDirectory() || state.uid !== process.getuid?.()) {
    throw new Error(`${short} belongs to another user; remove it, or choose a shorter path with FASTPASS_DATA_DIR`);
  }
  return join(short, 'mysqld.sock');
}
