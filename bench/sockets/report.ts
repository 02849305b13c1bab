/** The result of the sockets' bench: what is required, and how it is shown. */
import type { Cell, Exhibits } from '../load/exhibits.ts';
import type { Measured } from './measure.ts';

/** What --json prints. */
export interface SocketsResult {
  readonly sockets: number;
  readonly admitPerSecond: number;
  /** The bare server, once before the gateway and once after it; compared is their mean. */
  readonly bare: readonly Measured[];
  readonly gateway: Measured;
  readonly idle: {
    /** Of a gateway without a room and a socket, a second. */
    readonly cpuMs: number;
    readonly redisCommands: number;
    readonly residentKib: number;
  };
  /** A tick, without what the gateway sends anyway: in all, and by command. */
  readonly redisCommands: number;
  readonly redisCommandsByName: Readonly<Record<string, number>>;
  readonly requirements: readonly Requirement[];
}

export interface Requirement {
  readonly name: string;
  readonly value: number;
  /** What the value may be at most. */
  readonly limit: number;
  readonly holds: boolean;
}

const limits = { cpuRatio: 1.5, redisCommands: 20, kibPerSocket: 6, frameBytesRatio: 0.02 } as const;

function mean(measured: readonly Measured[], of: (each: Measured) => number): number {
  return measured.reduce((sum, each) => sum + of(each), 0) / measured.length;
}

/** Holds what was measured against what is required. */
export function requirementsOf(result: Omit<SocketsResult, 'requirements'>): Requirement[] {
  const { bare, gateway, redisCommands } = result;
  const bareBytes = mean(bare, ({ frameBytes }) => frameBytes);
  const requirement = (name: string, value: number, limit: number): Requirement => ({
    name,
    value,
    limit,
    holds: value <= limit,
  });
  return [
    requirement('CPU a tick, of bare', gateway.cpuMs / mean(bare, ({ cpuMs }) => cpuMs), limits.cpuRatio),
    requirement('Redis commands a tick', redisCommands, limits.redisCommands),
    requirement('resident KiB a socket', gateway.kibPerSocket, limits.kibPerSocket),
    requirement('positions not told', gateway.missing, 0),
    requirement('positions that grew', gateway.grown, 0),
    requirement('frame size, off bare', Math.abs(gateway.frameBytes / bareBytes - 1), limits.frameBytesRatio),
  ];
}

/** Fewer calls a tick are the noise of what the gateway sends anyway. */
const callsShown = 0.05;

/** Both servers, and how much of the bare one the gateway is. */
function comparison(name: string, result: SocketsResult, of: (each: Measured) => number): Cell[] {
  const [bare, gateway] = [mean(result.bare, of), of(result.gateway)];
  return [name, bare, gateway, gateway / bare];
}

/** The gateway beside the bare server, what it takes by itself, and whether what is required holds. */
export function exhibits(result: SocketsResult): Exhibits {
  const { sockets, admitPerSecond, bare, gateway, idle, redisCommandsByName, requirements } = result;
  const byName = Object.entries(redisCommandsByName)
    .filter(([, calls]) => calls >= callsShown)
    .sort(([, a], [, b]) => b - a);
  const mib = (kib: number): number => kib / 1024;
  return {
    tables: [
      {
        title: `${sockets} sockets, ${gateway.ticks} ticks, ${admitPerSecond} admitted a second`,
        columns: ['', 'bare', 'gateway', 'of bare'],
        rows: [
          comparison('CPU a tick, ms', result, ({ cpuMs }) => cpuMs),
          comparison('of it in user mode', result, ({ userMs }) => userMs),
          comparison('of it in the kernel', result, ({ systemMs }) => systemMs),
          comparison('resident KiB a socket', result, ({ kibPerSocket }) => kibPerSocket),
          comparison('bytes a frame', result, ({ frameBytes }) => frameBytes),
          comparison('frames a tick', result, ({ frames, ticks }) => frames / ticks),
          comparison('CPU of the clients, ms', result, ({ clientCpuMs }) => clientCpuMs),
        ],
      },
      {
        title: 'Beside it',
        columns: ['', 'measured'],
        rows: [
          ...bare.map(({ cpuMs }, i): Cell[] => [`bare, CPU a tick, ms, run ${i + 1}`, cpuMs]),
          ['idle gateway, CPU ms a second', idle.cpuMs],
          ['idle gateway, Redis commands a second', idle.redisCommands],
          ['gateway, resident MiB, idle', mib(idle.residentKib)],
          ['gateway, resident MiB, warm', mib(gateway.kibBefore)],
          ['gateway, resident MiB, with its sockets', mib(gateway.kibAfter)],
          ...byName.map(([name, calls]): Cell[] => [`Redis commands a tick: ${name}`, calls]),
        ],
      },
      {
        title: 'What is required',
        columns: ['', 'measured', 'at most', ''],
        rows: requirements.map(({ name, value, limit, holds }) => [name, value, limit, holds ? 'ok' : 'FAIL']),
      },
    ],
    plots: [],
  };
}
