/** The only reader of the environment: every value checked at start, all faults reported at once. */

/** Where the stores are: all that a tool beside the gateways needs. */
export interface StoresConfig {
  /** Empty: an embedded Redis. More than one: a Redis Cluster. */
  readonly redisUrls: readonly string[];
  /** Null: an embedded MySQL. */
  readonly mysqlUrl: string | null;
  readonly dataDir: string;
}

export interface Config extends StoresConfig {
  readonly port: number;
  readonly host: string;
  readonly jwtSecret: string;
  /** The first admin, made at start; null: none is made. */
  readonly admin: { readonly email: string; readonly password: string } | null;
  readonly batchSizeMax: number;
  readonly flushIntervalMs: number;
  readonly queueDepthMax: number;
  readonly requestDeadlineMs: number;
  readonly ack: 'persisted' | 'held';
  /** Per user; 0 is off. */
  readonly rateLimitPerSecond: number;
  readonly workers: number;
  readonly logLevel: string;
  readonly isProduction: boolean;
}

/** Good for a machine of one's own only: refused wherever a store is not embedded, and in production. */
const developmentJwtSecret = 'fastpass-development-secret-not-for-production';

const developmentAdmin = { email: 'admin@fastpass.local', password: 'fastpass-admin' };
const passwordLengthMin = 8;
/** Random ones of 32 bytes have more, in hexadecimal too. */
const secretCharactersMin = 8;

const logLevels = ['error', 'warn', 'info', 'http', 'verbose', 'debug', 'silly'];

const known = new Set([
  'FASTPASS_BATCH_SIZE_MAX',
  'FASTPASS_FLUSH_INTERVAL_MS',
  'FASTPASS_QUEUE_DEPTH_MAX',
  'FASTPASS_REQUEST_DEADLINE_MS',
  'FASTPASS_ACK',
  'FASTPASS_RATE_LIMIT_PER_SECOND',
  'FASTPASS_WORKERS',
  'FASTPASS_DATA_DIR',
]);

/** The environment does not make a configuration; `faults` says everything that is wrong with it. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

function textOf(environment: Environment, name: string, otherwise: string): string {
  const value = environment[name];
  return value === undefined || value === '' ? otherwise : value;
}

/** Reads and checks where the stores are. Throws ConfigError with every fault found. */
export function readStoresConfig(environment: Environment): StoresConfig {
  const faults: string[] = [];
  const stores = readStores(environment, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  return stores;
}

function readStores(environment: Environment, faults: string[]): StoresConfig {
  const redisUrls = textOf(environment, 'REDIS_URL', '')
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '');
  for (const url of redisUrls) {
    if (!hasProtocol(url, ['redis:', 'rediss:']))
      faults.push('REDIS_URL must be redis:// or rediss:// URLs apart by commas');
  }
  const mysqlUrl = textOf(environment, 'MYSQL_URL', '') || null;
  if (mysqlUrl !== null && !hasProtocol(mysqlUrl, ['mysql:'])) faults.push('MYSQL_URL must be a mysql:// URL');
  return { redisUrls, mysqlUrl, dataDir: textOf(environment, 'FASTPASS_DATA_DIR', '.data') };
}

/** Reads and checks the environment. Throws ConfigError with every fault found. */
export function readConfig(environment: Environment): Config {
  const faults: string[] = [];
  const text = (name: string, otherwise: string): string => textOf(environment, name, otherwise);
  const integer = (name: string, otherwise: number, min: number, max: number): number => {
    const value = text(name, String(otherwise));
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    faults.push(`${name} must be a whole number from ${min} to ${max}, not "${value}"`);
    return otherwise;
  };
  const oneOf = <Value extends string>(name: string, values: readonly Value[], otherwise: Value): Value => {
    const value = values.find((candidate) => candidate === text(name, otherwise));
    if (value !== undefined) return value;
    faults.push(`${name} must be one of ${values.join(', ')}, not "${text(name, otherwise)}"`);
    return otherwise;
  };

  for (const name of Object.keys(environment)) {
    if (name.startsWith('FASTPASS_') && !known.has(name)) faults.push(`${name} is not a setting of fastpass`);
  }
  const stores = readStores(environment, faults);
  const { redisUrls, mysqlUrl } = stores;

  const isProduction = environment['NODE_ENV'] === 'production';
  const isEmbedded = redisUrls.length === 0 && mysqlUrl === null;
  const jwtSecret = text('JWT_SECRET', isEmbedded && !isProduction ? developmentJwtSecret : '');
  if (jwtSecret === '') faults.push('JWT_SECRET is required (32 bytes or more) outside embedded mode');
  else if (Buffer.byteLength(jwtSecret) < 32) faults.push('JWT_SECRET must have 32 bytes or more');
  else if (jwtSecret === developmentJwtSecret && (isProduction || !isEmbedded)) {
    faults.push('JWT_SECRET is the development secret: set one of your own');
  } else if (isProduction && new Set(jwtSecret).size < secretCharactersMin) {
    faults.push('JWT_SECRET has too few different characters for production: use random ones');
  }

  const isDevelopment = isEmbedded && !isProduction;
  const adminEmail = text('ADMIN_EMAIL', isDevelopment ? developmentAdmin.email : '');
  const adminPassword = text('ADMIN_PASSWORD', isDevelopment ? developmentAdmin.password : '');
  if ((adminEmail === '') !== (adminPassword === '')) {
    faults.push('ADMIN_EMAIL and ADMIN_PASSWORD are set together, or neither');
  } else if (adminEmail !== '') {
    if (!adminEmail.includes('@')) faults.push('ADMIN_EMAIL must be an e-mail address');
    if (adminPassword.length < passwordLengthMin)
      faults.push(`ADMIN_PASSWORD must have ${passwordLengthMin} characters or more`);
    if (!isDevelopment && adminPassword === developmentAdmin.password) {
      faults.push('ADMIN_PASSWORD is the one of development: set one of your own');
    }
  }

  const config: Config = {
    port: integer('PORT', 3000, 0, 65_535),
    host: text('HOST', '0.0.0.0'),
    ...stores,
    jwtSecret,
    admin: adminEmail === '' ? null : { email: adminEmail, password: adminPassword },
    batchSizeMax: integer('FASTPASS_BATCH_SIZE_MAX', 100, 1, 10_000),
    flushIntervalMs: integer('FASTPASS_FLUSH_INTERVAL_MS', 10, 0, 1000),
    queueDepthMax: integer('FASTPASS_QUEUE_DEPTH_MAX', 20_000, 1, 1_000_000),
    requestDeadlineMs: integer('FASTPASS_REQUEST_DEADLINE_MS', 2000, 10, 60_000),
    ack: oneOf('FASTPASS_ACK', ['persisted', 'held'], 'persisted'),
    rateLimitPerSecond: integer('FASTPASS_RATE_LIMIT_PER_SECOND', 50, 0, 1_000_000),
    workers: integer('FASTPASS_WORKERS', 1, 1, 64),
    logLevel: oneOf('LOG_LEVEL', logLevels, 'info'),
    isProduction,
  };
  if (config.batchSizeMax > config.queueDepthMax) {
    faults.push('FASTPASS_BATCH_SIZE_MAX must not exceed FASTPASS_QUEUE_DEPTH_MAX');
  }
  if (config.flushIntervalMs >= config.requestDeadlineMs) {
    faults.push('FASTPASS_FLUSH_INTERVAL_MS must be below FASTPASS_REQUEST_DEADLINE_MS');
  }
  if (config.workers > 1 && config.port === 0) {
    faults.push('PORT must not be 0 with FASTPASS_WORKERS: each process would have a port of its own');
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

function hasProtocol(url: string, protocols: readonly string[]): boolean {
  return URL.canParse(url) && protocols.includes(new URL(url).protocol);
}
