/**
 * What Redis is asked, by whoever asks. MONITOR is read by hand: ioredis takes the first commands for answers to something
 * that it did not send, where they come in one piece with the OK.
 */
import { connect } from 'node:net';

interface RedisMonitor {
  /** The words of each command since it began, as Redis prints them. */
  readonly commands: readonly (readonly string[])[];
  stop(): void;
}

const wordPattern = /"((?:[^"\\]|\\.)*)"/g;

/** Begins to watch; hears every command that Redis gets after this has resolved. Rejects with what Redis says against it. */
export function monitorRedis(redisUrl: string): Promise<RedisMonitor> {
  const { hostname, port, password } = new URL(redisUrl);
  const requests = [...(password === '' ? [] : [['AUTH', decodeURIComponent(password)]]), ['MONITOR']];
  const commands: string[][] = [];
  const socket = connect(Number(port), hostname);
  return new Promise((resolve, reject) => {
    let answers = 0;
    let rest = '';
    const onLine = (line: string): void => {
      if (answers === requests.length) {
        commands.push([...line.matchAll(wordPattern)].map(([, word]) => word!));
      } else if (line !== '+OK') {
        socket.destroy();
        reject(new Error(`MONITOR: ${line}`));
      } else if (++answers === requests.length) {
        resolve({ commands, stop: () => socket.destroy() });
      }
    };
    socket.on('data', (data) => {
      const lines = (rest + data.toString('latin1')).split('\r\n');
      rest = lines.pop()!;
      for (const line of lines) onLine(line);
    });
    socket.once('error', reject);
    for (const words of requests) {
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join('')}`);
    }
  });
}
