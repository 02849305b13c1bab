/** The image, without an engine: the steps of the Dockerfile run in clean folders, and what they leave there is started. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { validate } from 'dockerfile-utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildStages, filesOf, folderOf, ignoring, type Stage, stageEnvironment } from './dockerfile.ts';
import { call, createPerformance, newUserId, testEnvironment, untilListening } from './harness.ts';

interface LockedPackage {
  readonly dev?: boolean;
  readonly optional?: boolean;
}
type Packages = Readonly<Record<string, LockedPackage>>;

const context = fileURLToPath(new URL('..', import.meta.url));
/** npm fetches what its cache does not have. */
const buildTimeoutMs = 300_000;

function packagesOf(lockFile: string): Packages {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Packages };
  return Object.fromEntries(Object.entries(packages).filter(([path]) => path !== ''));
}

describe('the Dockerfile', () => {
  const text = readFileSync(join(context, 'Dockerfile'), 'utf8');

  it('has nothing that a linter would change', () => {
    expect(validate(text).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([]);
  });

  it('is found faulty by that linter where it is', () => {
    expect(validate(text.replace('--interval=10s', '--interval=10')).length).toBeGreaterThan(0);
    expect(validate(text.replace('WORKDIR /app', 'WORKDIR app')).length).toBeGreaterThan(0);
    expect(validate(text.replace('--from=packages', '--form=packages')).length).toBeGreaterThan(0);
  });
});

describe('.dockerignore, as it is read here', () => {
  it('lets the last pattern decide that matches a path or a folder it is in', () => {
    const isIgnored = ignoring('# a comment\n*\n!src\n!a.json\n**/*.test.ts\nsrc/tmp/\n');
    const kept = ['src', 'src/a.ts', 'src/deep/er/a.ts', 'a.json'];
    expect(kept.filter(isIgnored)).toEqual([]);
    const out = [
      'b.json',
      '.git/config',
      'test/a.ts',
      'src/a.test.ts',
      'src/deep/a.test.ts',
      'src/tmp/a.ts',
      'srcs/a.ts',
    ];
    expect(out.filter((path) => !isIgnored(path))).toEqual([]);
  });
});

describe('the image', () => {
  let target: string;
  let stages: Stage[];
  let image: Stage;

  beforeAll(() => {
    target = mkdtempSync(join(tmpdir(), 'fastpass-image-'));
    stages = buildStages(context, target);
    image = stages.at(-1)!;
  }, buildTimeoutMs);
  afterAll(() => rmSync(target, { recursive: true, force: true }));

  it('is made of a Node 22 on Debian, and every step but the package of tini has run here', () => {
    expect(stages.map(({ base }) => base)).toEqual(['node:22-bookworm-slim', 'node:22-bookworm-slim']);
    expect(stages.flatMap(({ ran }) => ran).length).toBe(2);
    // The one step for the base image: it installs tini, nothing it recommends, and leaves no lists behind.
    expect(stages.map(({ notRun }) => notRun.length)).toEqual([0, 1]);
    const line = image.notRun[0]!;
    expect(line).toMatch(
      /^apt-get update\s[^;]*&& apt-get install --yes --no-install-recommends tini\s[^;]*&& rm -rf \/var\/lib\/apt\/lists\/\*$/,
    );
  });

  it('runs as a user that is not root, named by number, under an init', () => {
    expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(image.entrypoint).toEqual(['/usr/bin/tini', '--']);
    expect(image.environment['NODE_ENV']).toBe('production');
  });

  it('starts the gateway as npm start does', () => {
    const { scripts } = JSON.parse(readFileSync(join(context, 'package.json'), 'utf8'));
    expect(image.command.join(' ')).toBe(scripts.start);
  });

  it('holds the gateway, and no test, no bench, no tool', () => {
    const files = filesOf(folderOf(image)).filter((path) => !path.startsWith('node_modules/'));
    expect(files).toContain('src/main.ts');
    expect(files).toContain('src/lua/hold.lua');
    expect(files).toContain('src/persist/migrations/0001_initial.sql');
    expect(files.filter((path) => !/^(src|public)\/|^package\.json$/.test(path))).toEqual([]);
    expect(files.filter((path) => /\.test\.ts$|(^|\/)(test|bench)\//.test(path))).toEqual([]);
  });

  it('has the packages of the lock file without those for development', () => {
    const locked = packagesOf(join(context, 'package-lock.json'));
    const installed = Object.keys(packagesOf(join(folderOf(image), 'node_modules/.package-lock.json')));
    expect(installed.filter((path) => locked[path] === undefined || locked[path].dev === true)).toEqual([]);
    const needed = Object.keys(locked).filter((path) => !locked[path]!.dev && !locked[path]!.optional);
    expect(needed.filter((path) => !installed.includes(path))).toEqual([]);
    // And nothing that npm did not write down.
    const present = filesOf(join(folderOf(image), 'node_modules'))
      .map((path) => `node_modules/${/^(@[^/]+\/)?[^/]+/.exec(path)![0]}`)
      .filter((path) => !path.startsWith('node_modules/.'));
    expect([...new Set(present)].filter((path) => !installed.includes(path))).toEqual([]);
  });

  it('has one binary of uWebSockets.js', () => {
    const binaries = filesOf(join(folderOf(image), 'node_modules/uWebSockets.js')).filter((path) =>
      path.endsWith('.node'),
    );
    expect(binaries.length).toBe(1);
  });

  it('gets ready, is found healthy, sells, writes nothing beside itself, and ends at SIGTERM with 0', async () => {
    const before = filesOf(image.root);
    const environment = { ...stageEnvironment(image), ...testEnvironment({ LOG_LEVEL: 'info' }) };
    const [program, ...args] = image.command;
    const gateway = await untilListening(
      spawn(program!, args, { cwd: folderOf(image), env: environment, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    const healthOn = (port: string): number | null => {
      const [health, ...words] = image.health;
      return spawnSync(health!, words, { env: { ...stageEnvironment(image), PORT: port }, timeout: 20_000 }).status;
    };
    try {
      expect((await call(gateway.url, 'GET', '/readyz')).status).toBe(200);
      expect((await fetch(`${gateway.url}/docs`)).status).toBe(200);
      const home = await (await fetch(gateway.url)).text();
      for (const path of home.match(/\/assets\/[\w./-]+/g) ?? ['no assets']) {
        expect([path, (await fetch(gateway.url + path)).status]).toEqual([path, 200]);
      }
      const performanceId = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 10 } });
      const hold = { userId: newUserId(), body: { performanceId, seats: [1, 2] } };
      expect((await call(gateway.url, 'POST', '/v1/reservations', hold)).status).toBe(201);
      const { port } = new URL(gateway.url);
      expect(healthOn(port)).toBe(0);
    } finally {
      await gateway.stop();
    }
    expect(gateway.child.exitCode).toBe(0);
    expect(gateway.child.signalCode).toBeNull();
    expect(healthOn(new URL(gateway.url).port)).toBe(1);
    expect(filesOf(image.root)).toEqual(before);
  });
});
