/** The result of the sockets' bench: what is required, and how it is printed. */
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

const nameWidth = 26;
const cellWidth = 12;

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(cellWidth)).join('')}`.trimEnd();
}

function mib(kib: number): string {
  return `${(kib / 1024).toFixed(1)} MiB`;
}

/** Both servers and how much of the bare one the gateway is. */
function comparison(name: string, result: SocketsResult, of: (each: Measured) => number): string {
  const [bare, gateway] = [mean(result.bare, of), of(result.gateway)];
  return row(name, [bare.toFixed(2), gateway.toFixed(2), (gateway / bare).toFixed(2)]);
}

/** The table for people, with a newline at its end. */
export function renderSockets(result: SocketsResult): string {
  const { sockets, admitPerSecond, bare, gateway, idle, redisCommandsByName, requirements } = result;
  const byName = Object.entries(redisCommandsByName).sort(([, a], [, b]) => b - a);
  const lines = [
    `${sockets} sockets, ${gateway.ticks} ticks, ${admitPerSecond} admitted a second`,
    '',
    row('', ['bare', 'gateway', 'of bare']),
    comparison('CPU a tick, ms', result, ({ cpuMs }) => cpuMs),
    comparison('  of it in user mode', result, ({ userMs }) => userMs),
    comparison('  of it in the kernel', result, ({ systemMs }) => systemMs),
    comparison('resident KiB a socket', result, ({ kibPerSocket }) => kibPerSocket),
    comparison('bytes a frame', result, ({ frameBytes }) => frameBytes),
    comparison('frames a tick', result, ({ frames, ticks }) => frames / ticks),
    comparison('CPU of the clients, ms', result, ({ clientCpuMs }) => clientCpuMs),
    '',
    `  bare, CPU a tick before and after the gateway: ${bare.map(({ cpuMs }) => cpuMs.toFixed(1)).join(', ')} ms`,
    `  idle gateway: ${idle.cpuMs.toFixed(1)} ms of CPU and ${idle.redisCommands.toFixed(1)} Redis commands a second`,
    `  gateway, resident: ${mib(idle.residentKib)} idle, ${mib(gateway.kibBefore)} warm, ${mib(gateway.kibAfter)} with its sockets`,
    `  Redis commands a tick: ${byName.map(([name, calls]) => `${name} ${calls.toFixed(2)}`).join(', ')}`,
    '',
    ...requirements.map(
      ({ name, value, limit, holds }) => `  ${holds ? 'ok  ' : 'FAIL'} ${name}: ${value.toFixed(2)} (at most ${limit})`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}
