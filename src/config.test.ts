import { describe, expect, it } from 'vitest';
import { type Config, ConfigError, readConfig, readStoresConfig } from './config.ts';

const secret = 'a-secret-of-somebody-32-bytes-long!';
const stores = { REDIS_URL: 'redis://r:6379', MYSQL_URL: 'mysql://u:p@m/fastpass', JWT_SECRET: secret };

function faultsOf(environment: Readonly<Record<string, string>>): readonly string[] {
  try {
    readConfig(environment);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.faults;
  }
}

describe('the configuration', () => {
  it('needs nothing: an empty environment is embedded mode with its defaults', () => {
    expect(readConfig({})).toMatchObject({
      port: 3000,
      redisUrls: [],
      mysqlUrl: null,
      batchSizeMax: 100,
      flushIntervalMs: 10,
      queueDepthMax: 20_000,
      ack: 'persisted',
      workers: 1,
      isProduction: false,
    } satisfies Partial<Config>);
  });

  it('reads every value, and takes an empty one for none', () => {
    const config = readConfig({
      ...stores,
      REDIS_URL: 'redis://a:1, rediss://b:2 ,',
      PORT: '8080',
      HOST: '',
      FASTPASS_BATCH_SIZE_MAX: '7',
      FASTPASS_FLUSH_INTERVAL_MS: '0',
      FASTPASS_QUEUE_DEPTH_MAX: '8',
      FASTPASS_REQUEST_DEADLINE_MS: '500',
      FASTPASS_ACK: 'held',
      FASTPASS_RATE_LIMIT_PER_SECOND: '0',
      FASTPASS_WORKERS: '4',
      FASTPASS_DATA_DIR: 'data',
      LOG_LEVEL: 'debug',
      NODE_ENV: 'production',
      ADMIN_EMAIL: 'boss@example.org',
      ADMIN_PASSWORD: 'a-password-of-ones-own',
      UNRELATED: 'x',
    });
    expect(config).toEqual({
      port: 8080,
      host: '0.0.0.0',
      redisUrls: ['redis://a:1', 'rediss://b:2'],
      mysqlUrl: stores.MYSQL_URL,
      jwtSecret: secret,
      admin: { email: 'boss@example.org', password: 'a-password-of-ones-own' },
      batchSizeMax: 7,
      flushIntervalMs: 0,
      queueDepthMax: 8,
      requestDeadlineMs: 500,
      ack: 'held',
      rateLimitPerSecond: 0,
      workers: 4,
      dataDir: 'data',
      logLevel: 'debug',
      isProduction: true,
    } satisfies Config);
  });

  it('is refused with every fault at once', () => {
    const faults = faultsOf({
      ...stores,
      PORT: '65536',
      FASTPASS_ACK: 'later',
      FASTPASS_WORKERS: '1.5',
      FASTPASS_QUEUE_DEPT_MAX: '9',
      REDIS_URL: 'http://r',
      MYSQL_URL: 'nonsense',
      LOG_LEVEL: 'loud',
      JWT_SECRET: 'short',
    });
    for (const name of [
      'PORT',
      'FASTPASS_ACK',
      'FASTPASS_WORKERS',
      'REDIS_URL',
      'MYSQL_URL',
      'LOG_LEVEL',
      'JWT_SECRET',
    ]) {
      expect(faults.filter((fault) => fault.startsWith(`${name} `))).toHaveLength(1);
    }
    expect(faults).toContain('FASTPASS_QUEUE_DEPT_MAX is not a setting of fastpass');
  });

  it.each(['-1', '1e3', '0x10', ' 5', 'NaN', 'Infinity', '10001'])(
    'refuses %j for a whole number of 1 to 10,000',
    (value) => {
      expect(faultsOf({ FASTPASS_BATCH_SIZE_MAX: value })).toHaveLength(1);
    },
  );

  it('refuses limits that contradict each other', () => {
    expect(faultsOf({ FASTPASS_BATCH_SIZE_MAX: '100', FASTPASS_QUEUE_DEPTH_MAX: '99' })).toHaveLength(1);
    expect(faultsOf({ FASTPASS_FLUSH_INTERVAL_MS: '100', FASTPASS_REQUEST_DEADLINE_MS: '100' })).toHaveLength(1);
    expect(faultsOf({ FASTPASS_WORKERS: '2', PORT: '0' })).toHaveLength(1);
    expect(faultsOf({ FASTPASS_WORKERS: '1', PORT: '0' })).toEqual([]);
  });

  it('has a secret of its own only where both stores are embedded, and never in production', () => {
    const development = readConfig({}).jwtSecret;
    for (const environment of [
      { NODE_ENV: 'production' },
      { REDIS_URL: stores.REDIS_URL },
      { MYSQL_URL: stores.MYSQL_URL },
      { REDIS_URL: stores.REDIS_URL, MYSQL_URL: stores.MYSQL_URL },
    ]) {
      expect(faultsOf(environment).join()).toContain('JWT_SECRET is required');
      expect(faultsOf({ ...environment, JWT_SECRET: development }).join()).toContain('development secret');
      expect(faultsOf({ ...environment, JWT_SECRET: secret })).toEqual([]);
    }
  });

  it('of a tool beside the gateways is where the stores are, without a secret', () => {
    const given = { ...stores, FASTPASS_DATA_DIR: 'data' };
    const { redisUrls, mysqlUrl, dataDir } = readConfig({ ...given, JWT_SECRET: secret });
    expect(readStoresConfig(given)).toEqual({ redisUrls, mysqlUrl, dataDir });
    expect(readStoresConfig({})).toEqual({ redisUrls: [], mysqlUrl: null, dataDir: '.data' });
    expect(() => readStoresConfig({ REDIS_URL: 'http://r', MYSQL_URL: 'nonsense' })).toThrow(
      /REDIS_URL.*\n.*MYSQL_URL/,
    );
  });

  it('counts the bytes of a secret, not its letters', () => {
    expect(faultsOf({ JWT_SECRET: 'é'.repeat(16) })).toEqual([]);
    expect(faultsOf({ JWT_SECRET: 'e'.repeat(31) })).toHaveLength(1);
  });

  it('refuses a secret of a few characters again and again in production', () => {
    for (const text of ['x'.repeat(64), ' '.repeat(32), 'secret'.repeat(8)]) {
      const faults = faultsOf({ NODE_ENV: 'production', JWT_SECRET: text });
      expect(faults).toEqual([expect.stringMatching(/^JWT_SECRET has too few different characters/)]);
      expect(faultsOf({ JWT_SECRET: text })).toEqual([]);
    }
    const hexadecimal = '0f1e2d3c4b5a69788796a5b4c3d2e1f0';
    expect(faultsOf({ NODE_ENV: 'production', JWT_SECRET: hexadecimal })).toEqual([]);
  });

  it('has a first admin of its own in embedded mode only, and never in production', () => {
    expect(readConfig({}).admin).toEqual({ email: 'admin@fastpass.local', password: 'fastpass-admin' });
    const production = { NODE_ENV: 'production', JWT_SECRET: secret };
    for (const environment of [stores, production, { ...stores, ...production }]) {
      expect(readConfig(environment).admin).toBeNull();
      expect(readConfig({ ...environment, ADMIN_EMAIL: '', ADMIN_PASSWORD: '' }).admin).toBeNull();
    }
  });

  it('takes the first admin from the environment, in embedded mode too', () => {
    const given = { ADMIN_EMAIL: 'boss@example.org', ADMIN_PASSWORD: 'a-password-of-ones-own' };
    const admin = { email: given.ADMIN_EMAIL, password: given.ADMIN_PASSWORD };
    for (const environment of [{}, stores]) expect(readConfig({ ...environment, ...given }).admin).toEqual(admin);
    expect(readConfig({ ...stores, ...given, ADMIN_PASSWORD: '12345678' }).admin?.password).toBe('12345678');
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['an address alone', { ADMIN_EMAIL: 'boss@example.org' }, /ADMIN_EMAIL and ADMIN_PASSWORD are set together/],
    ['a password alone', { ADMIN_PASSWORD: 'long enough' }, /ADMIN_EMAIL and ADMIN_PASSWORD are set together/],
    ['an address that is none', { ADMIN_EMAIL: 'boss', ADMIN_PASSWORD: 'long enough' }, /^ADMIN_EMAIL /],
    ['a password of 7 characters', { ADMIN_EMAIL: 'boss@example.org', ADMIN_PASSWORD: '1234567' }, /^ADMIN_PASSWORD /],
    [
      'the password of development',
      { ADMIN_EMAIL: 'boss@example.org', ADMIN_PASSWORD: 'fastpass-admin' },
      /^ADMIN_PASSWORD is the one of development/,
    ],
  ])('refuses a first admin with %s, and says so without the password', (_name, given, fault) => {
    const faults = faultsOf({ ...stores, ...given });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(fault);
    expect(faults[0]).not.toContain(given['ADMIN_PASSWORD'] ?? 'nothing');
  });
});
