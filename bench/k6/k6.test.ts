/** The k6 scripts against a real gateway, by a small runtime of our own: k6 itself is not needed. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  brokenPromises,
  createPerformance,
  startGateway,
  storedReservations,
  type TestGateway,
  testSecret,
} from '../../test/harness.ts';
import { brokenSales } from '../../test/money.ts';
import { type Outcome, runProgram, runScript } from './runtime/spawn.ts';

const compilerPath = fileURLToPath(new URL('../../node_modules/.bin/tsc', import.meta.url));
// A first start of threads on a busy machine, more than once in a test.
const timeoutMs = 60_000;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(() => gateway.stop());

function run(name: string, settings: Readonly<Record<string, string>>): Promise<Outcome> {
  const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  return runScript(path, { BASE_URL: gateway.url, JWT_SECRET: testSecret, P95_MS: '20000', ...settings });
}

/** That a run was right; where it was not, all that it said. */
function expectRight({ errors, broken, stderr, exitCode }: Outcome): void {
  expect({ errors, broken, stderr, exitCode }).toEqual({ errors: [], broken: [], stderr: '', exitCode: 0 });
}

it('the scripts use k6 as its types have it', async () => {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  expect(await runProgram(compilerPath, ['-p', folder])).toEqual({ code: 0, stdout: '', stderr: '' });
});

describe('against a gateway, right to the last place,', () => {
  it('rush-once sells what there is, with one attempt of each user', { timeout: timeoutMs }, async () => {
    const id = await createPerformance(gateway.url, { seating: { kind: 'capacity', capacity: 10, maxPartySize: 4 } });
    const outcome = await run('rush-once', { USERS: '6', SEATS: '10', PARTY: '4', PERFORMANCE_ID: String(id) });
    expectRight(outcome);
    expect(outcome.iterations).toBe(6);
    expect((await storedReservations(id)).map(({ partySize }) => partySize)).toEqual([4, 4]);
    expect(await brokenPromises(id)).toEqual([]);
  });

  it('rush-repeat lets nobody have a second reservation', { timeout: timeoutMs }, async () => {
    const outcome = await run('rush-repeat', { USERS: '5', SEATS: '9', PARTY: '3', REPEAT: '3' });
    expectRight(outcome);
    expect(outcome.iterations).toBe(15);
  });

  it('waiting-room brings everybody to a pass, past the sale of the last place', { timeout: timeoutMs }, async () => {
    const outcome = await run('waiting-room', { USERS: '5', SEATS: '3', ADMIT_PER_SECOND: '5', MAX_ACTIVE: '2' });
    expectRight(outcome);
    expect(outcome.iterations).toBe(5);
  });

  it('soak pays and cancels, and leaves every seat free and the books right', { timeout: timeoutMs }, async () => {
    const id = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 4 } });
    const load = { RATE: '6', DURATION: '2s', PAUSE_MS: '50', VUS: '8' };
    const outcome = await run('soak', { USERS: '6', SEATS: '4', PERFORMANCE_ID: String(id), ...load });
    expectRight(outcome);
    expect(outcome.iterations).toBe(12);
    expect((await storedReservations(id)).length).toBeGreaterThan(0);
    expect(await brokenSales(id)).toEqual([]);
  });
});

describe('a script does not begin', () => {
  it('with a performance that has other places left than it was told', { timeout: timeoutMs }, async () => {
    const id = await createPerformance(gateway.url, { seating: { kind: 'capacity', capacity: 4 } });
    const outcome = await run('rush-once', { USERS: '2', SEATS: '8', PERFORMANCE_ID: String(id) });
    expect(outcome.exitCode).toBe(107);
    expect(outcome.errors.join()).toContain('has 4 places left, not SEATS=8');
  });

  it.each([
    ['USERS', 'a whole number', { USERS: 'many' }],
    ['JWT_SECRET', 'is required', { USERS: '2', JWT_SECRET: '' }],
    ['JWT_SECRET', '32 bytes', { USERS: '2', JWT_SECRET: 'short' }],
  ])('with a wrong %s: %s', { timeout: timeoutMs }, async (name, why, settings) => {
    const outcome = await run('rush-once', settings);
    expect(outcome.exitCode).toBe(107);
    expect(outcome.errors.join()).toMatch(new RegExp(`${name}.*${why}`));
    expect(outcome.requests).toBe(0);
  });
});
