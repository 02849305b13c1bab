/** Starts the floor of the sockets as a process of its own. */
import { type Server, startServer } from '../load/server.ts';

/** What it tells; see floor-server.ts. */
export interface FloorOptions {
  readonly performanceId: number;
  readonly firstNumber: number;
  readonly firstPosition: number;
  readonly admitPerSecond: number;
}

const serverModule = new URL('./floor-server.ts', import.meta.url);

/** Rejects when it does not start. */
export function startFloor(options: FloorOptions): Promise<Server> {
  const { performanceId, firstNumber, firstPosition, admitPerSecond } = options;
  return startServer(serverModule, [performanceId, firstNumber, firstPosition, admitPerSecond].map(String));
}
