/** Which faults a run of the simulation may meet, and how often: drawn from its seed, so that runs differ in kind. */

/** Draws from the one sequence that everything in a run comes from. */
export class Chance {
  readonly #next: () => number;

  /** `next` gives numbers from 0 to 1. */
  constructor(next: () => number) {
    this.#next = next;
  }

  /** A whole number below `count`. */
  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  /** True once in `1 / share` times. */
  is(share: number): boolean {
    return this.#next() < share;
  }

  /** Milliseconds, with a fraction: two moments are rarely the same. */
  ms(from: number, to: number): number {
    return from + this.#next() * (to - from);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }
}

export interface Weather {
  readonly ack: 'persisted' | 'held';
  readonly gateways: number;
  /** Requests and replies are lost, or come late. */
  readonly isLossy: boolean;
  /** Requests are delivered twice, the second time whenever. */
  readonly isRepeating: boolean;
  /** Requests overtake each other. */
  readonly isReordering: boolean;
  /** Stores refuse for a while. */
  readonly hasOutages: boolean;
  /** Stores stand still for a while, and then do what they were asked. */
  readonly hasFreezes: boolean;
  /** Gateways die and are started again. */
  readonly hasCrashes: boolean;
  /** Redis is emptied. */
  readonly hasFlushes: boolean;
  /** Redis goes back to what it was some seconds ago. */
  readonly hasFailovers: boolean;
  /** The clocks of Redis and of MySQL jump. */
  readonly hasJumps: boolean;
  readonly room: 'none' | 'on' | 'draw';
}

export function drawWeather(chance: Chance): Weather {
  const ack = chance.is(0.35) ? 'held' : 'persisted';
  const isRedisSafe = chance.is(0.5);
  const weather: Weather = {
    ack,
    gateways: 1 + chance.below(3),
    isLossy: chance.is(0.5),
    isRepeating: chance.is(0.4),
    isReordering: chance.is(0.4),
    hasOutages: chance.is(0.4),
    hasFreezes: chance.is(0.3),
    hasCrashes: chance.is(0.5),
    hasFlushes: !isRedisSafe && chance.is(0.6),
    hasFailovers: !isRedisSafe && chance.is(0.6),
    hasJumps: chance.is(0.2),
    room: chance.pick(['none', 'none', 'on', 'draw']),
  };
  if (ack === 'persisted') return weather;
  // What `held` does not promise (ARCHITECTURE.md): an acknowledged hold stands in Redis and in its gateway until MySQL has
  // it. Both lost, or Redis lost while the gateway cannot commit, it is lost. And a jump ends holds in one store alone.
  const isRedisLost = weather.hasFlushes || weather.hasFailovers;
  const isCalm = isRedisLost
    ? {
        isLossy: false,
        hasOutages: false,
        hasFreezes: false,
        hasCrashes: false,
        isReordering: false,
        isRepeating: false,
      }
    : {};
  return { ...weather, ...isCalm, hasJumps: false };
}

/** `held, 2 gateways: lossy, crashes, room draw`. */
export function weatherText(weather: Weather): string {
  const { ack, gateways, room, ...faults } = weather;
  const names = Object.entries(faults).flatMap(([name, isOn]) =>
    isOn ? [name.replace(/^(?:is|has)/, '').toLowerCase()] : [],
  );
  if (room !== 'none') names.push(`room ${room}`);
  return `${ack}, ${gateways} gateway${gateways > 1 ? 's' : ''}: ${names.join(', ') || 'fair'}`;
}
