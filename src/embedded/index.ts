// The embedded default: private real servers as children of this process, for a start without any set-up and for tests.
export { ensureInstalled } from './install.ts';
export { runningMysqlUrl, startEmbeddedMysql } from './mysql.ts';
export { runningRedisUrl, startEmbeddedRedis } from './redis.ts';
export type { EmbeddedServer } from './types.ts';
