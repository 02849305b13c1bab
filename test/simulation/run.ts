/** One run: a seed, so many steps, then fair weather until everything is at rest. */
import { SeatStatus } from '../../src/domain/reservation.ts';
import { People } from './people.ts';
import { checkAlways, checkAtRest } from './promises.ts';
import { weatherText } from './weather.ts';
import { hallId, World } from './world.ts';

export interface Run {
  readonly seed: number;
  readonly weather: string;
  /** Promises that were not kept; empty: all were. */
  readonly broken: readonly string[];
  /** What happened, the last of it. */
  readonly trace: readonly string[];
  readonly acknowledged: number;
}

const peopleCount = 8;
/** The longest hold, the grace of the scheduler and of the reconciliation, and some more. */
const restMs = 40_000;
const brokenMax = 20;

/** Plays a seed. Rejects only by a slip of the simulation itself. */
export async function simulate(seed: number, steps: number): Promise<Run> {
  const world = new World(seed);
  const weather = weatherText(world.weather);
  const people = new People(world, peopleCount);
  for (let step = 0; step < steps && world.broken.length < brokenMax; step++) {
    people.act();
    disturb(world);
    await world.clock.advance(world.chance.is(0.1) ? world.chance.ms(100, 2000) : world.chance.ms(0, 20));
    checkAlways(world);
  }
  world.clearUp();
  await world.clock.advance(restMs);
  checkAlways(world);
  await checkAtRest(world);
  people.checkAnswers();
  people.checkAcknowledged();
  if (world.broken.length === 0) await checkService(world, people);
  for (const gateway of world.gateways) gateway.kill();
  return { seed, weather, broken: world.broken, trace: world.trace, acknowledged: people.acknowledged.size };
}

/** Faults, rarely: each lasts for a while. */
function disturb(world: World): void {
  const { chance, weather, clock, redisServer, mysqlServer } = world;
  if (weather.hasCrashes && chance.is(0.02)) {
    const gateway = world.anyGateway();
    if (gateway !== null) {
      world.killGateway(gateway);
      clock.after(chance.ms(0, 3000), () => world.startGateway());
    }
  }
  for (const server of [redisServer, mysqlServer]) {
    if (server.state !== 'up') continue;
    if (weather.hasOutages && chance.is(0.01)) {
      world.setServer(server, 'down');
      clock.after(chance.ms(10, 5000), () => world.setServer(server, 'up'));
    } else if (weather.hasFreezes && chance.is(0.01)) {
      world.setServer(server, 'frozen');
      clock.after(chance.ms(10, 5000), () => world.setServer(server, 'up'));
    }
  }
  if (weather.hasFlushes && chance.is(0.02)) world.flushRedis();
  if (weather.hasFailovers && chance.is(0.05)) world.copyRedis();
  if (weather.hasFailovers && chance.is(0.02)) world.failRedisOver();
  if (weather.hasJumps && chance.is(0.02)) world.jump();
}

/** The service is there: a seat that MySQL has free is given to whoever comes first. */
async function checkService(world: World, people: People): Promise<void> {
  if (world.room !== null) return;
  const { seats, performance } = world.mysql.performances.get(hallId)!;
  if (performance.seating.kind !== 'seated') return;
  for (let seat = 1; seat <= performance.seating.seats; seat++) {
    if ((seats.get(seat)?.status ?? SeatStatus.AVAILABLE) !== SeatStatus.AVAILABLE) continue;
    const userId = 1000 + seat;
    const request = { performanceId: hallId, userId, seats: [seat], partySize: 0, isRepeat: false, pass: 0 };
    const outcome = await people.holdNow({ ...request, reservationId: world.newId() }, world.gateways[0]!);
    if (outcome?.kind !== 'held') world.fail(`seat ${seat} is free and was refused: ${outcome?.refusal.code}`);
    return;
  }
}
