import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts', 'public/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    // Two cores carry the gateway, Redis, MariaDB and the load: files run one after the other.
    fileParallelism: false,
    // For a test that hangs. What must be done in time the tests say themselves; a busy machine takes long for all the rest.
    testTimeout: 90_000,
    hookTimeout: 120_000,
  },
});
