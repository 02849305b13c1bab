/** The shape of src: who may import whom, and what may stand where. Read with a parser, so that text in comments is free. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
// The parser that vitest itself compiles these files with.
import { parseSync } from 'rolldown/utils';
import { describe, expect, it } from 'vitest';

/** Reading direction: a room knows the rooms to its right in this table, and its own files. Everything else is a fault. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  lib: [],
  lua: ['domain', 'lib'],
  persist: ['domain', 'lib'],
  batcher: ['domain', 'lib'],
  catalog: ['lua', 'persist', 'domain', 'lib'],
  accounts: ['lua', 'persist', 'domain', 'lib'],
  // The memory queue is generic: joins wait in one of their own.
  'waiting-room': ['batcher', 'lua', 'persist', 'domain', 'lib'],
  scheduler: ['waiting-room', 'lua', 'persist', 'domain', 'lib'],
  rehearsal: ['client', 'lua', 'persist', 'domain', 'lib'],
  gateway: [
    'batcher',
    'catalog',
    'accounts',
    'waiting-room',
    'rehearsal',
    'pages',
    'lua',
    'persist',
    'domain',
    'lib',
    'metrics',
  ],
  embedded: [],
  pages: [],
  // Runs in browsers: it takes types alone, which are gone by then (src/client/browser.test.ts).
  client: ['domain'],
  // The leaves, and the few files that see everything.
  logger: [],
  metrics: ['lib'],
  config: [],
  app: ['*'],
  stores: ['lua', 'persist', 'lib'],
  instruments: ['*'],
  scrapes: ['metrics'],
  workers: ['app', 'logger', 'metrics', 'scrapes'],
  main: ['*'],
  // A tool beside the gateways: a second start.
  reconcile: ['*'],
};
const linesMax = 320;
/** Exports that only tests take, of a file or by name, each with its reason. */
const forTests: Readonly<Record<string, string>> = {
  'src/logger.ts silentLog': 'the log of a gateway inside a test',
  'src/lua/scripts.ts': 'each script is compared with the head of its file',
  'src/lua/rooms.ts PlaceCode': 'the codes are compared with those of queue-serve.lua',
  'src/lua/rooms.ts placesFrom': 'the fake of Redis says its decisions in the same words',
  'src/lua/rooms.ts roundOf': 'the fake of Redis says its rounds in the same words',
  'src/lua/rooms.ts drawnPerCallMax': 'the fake of Redis draws in the same parts',
  'src/lua/rooms.ts offRoundsSkipped': 'the fake of Redis skips the same rounds',
  'src/lua/decisions.ts HoldCode': 'the codes are compared with those of hold.lua',
  'src/lua/decisions.ts decisionsFrom': 'the fake of Redis says its decisions in the same words',
  'src/lua/load.ts metaOf': 'the fake of Redis loads the same',
  'src/lua/load.ts issuedAfterLoss': 'the fake of Redis loads the same',
  'src/persist/migrate.ts migrationNames': 'what a first migration applies',
  'src/client/index.ts': 'what the client offers to pages and programs; the rush and the journeys take some of it',
};

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [field: string]: unknown;
}

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly nodes: readonly Node[];
  /** Files it imports, or names for another process to run; paths from the root. */
  readonly uses: ReadonlySet<string>;
  /** Files it imports. */
  readonly imports: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
  /** `path name` of everything it takes from other files. */
  readonly taken: ReadonlySet<string>;
  readonly exported: readonly string[];
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

function pathsOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name).split(sep).join('/'))
    .sort();
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function collect(value: unknown, into: Node[]): void {
  if (Array.isArray(value)) for (const element of value) collect(element, into);
  if (!isNode(value)) return;
  into.push(value);
  for (const field in value) collect(value[field], into);
}

function nameOf(value: unknown): string {
  return isNode(value) && typeof value['name'] === 'string' ? value['name'] : '';
}

/** The members `local.x` that a file names, as values and as types. */
function membersOf(nodes: readonly Node[], local: string): string[] {
  return nodes.flatMap((node) => {
    if (node.type === 'MemberExpression' && nameOf(node['object']) === local) return nameOf(node['property']);
    return node.type === 'TSQualifiedName' && nameOf(node['left']) === local ? nameOf(node['right']) : [];
  });
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const { module, program, errors } = parseSync(path, text, { lang: 'ts' });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]!.message}`);
  const nodes: Node[] = [];
  collect(program, nodes);
  const imports = new Set<string>();
  const packages = new Set<string>();
  const taken = new Set<string>();
  const resolved = (request: string): string | null => {
    if (!request.startsWith('.')) {
      packages.add(request);
      return null;
    }
    const target = relative(root, resolve(root, dirname(path), request))
      .split(sep)
      .join('/');
    imports.add(target);
    return target;
  };
  for (const { moduleRequest, entries } of module.staticImports) {
    const target = resolved(moduleRequest.value);
    for (const { importName, localName } of target === null ? [] : entries) {
      const names = importName.kind === 'Name' ? [importName.name ?? ''] : membersOf(nodes, localName.value);
      for (const name of names) taken.add(`${target} ${name}`);
    }
  }
  const exported: string[] = [];
  for (const { entries } of module.staticExports) {
    for (const { moduleRequest, importName, exportName } of entries) {
      if (exportName.name !== null) exported.push(exportName.name);
      const target = moduleRequest === null ? null : resolved(moduleRequest.value);
      if (target !== null) taken.add(`${target} ${importName.name}`);
    }
  }
  for (const node of nodes) {
    const source = node.type === 'ImportExpression' || node.type === 'TSImportType' ? node['source'] : null;
    if (isNode(source) && typeof source['value'] === 'string') resolved(source['value']);
  }
  const uses = new Set(imports);
  for (const node of nodes) {
    // `new URL('./worker.ts', import.meta.url)`: a file for another process.
    const value = node.type === 'Literal' ? node['value'] : null;
    if (typeof value !== 'string' || !/^\.{1,2}\/[\w./-]+\.ts$/.test(value)) continue;
    uses.add(
      relative(root, resolve(root, dirname(path), value))
        .split(sep)
        .join('/'),
    );
  }
  return { path, text, nodes, uses, imports, packages, taken, exported };
}

const isTest = (path: string): boolean => path.endsWith('.test.ts') || path.startsWith('test/');
const everything = ['src', 'bench', 'test', 'public'].flatMap(pathsOf).map(readSource);
const files = everything.filter(({ path }) => path.startsWith('src/') && !isTest(path));
/** What the gateway serves as it stands. */
const served = everything.filter(({ path }) => path.startsWith('public/') && !isTest(path));
const fileOf = new Map(everything.map((file) => [file.path, file]));

/** `src/lua/store.ts` -> `lua`, `src/app.ts` -> `app`. */
function roomOf(path: string): string {
  return path.split('/')[1]!.replace(/\.ts$/, '');
}

/** `path:line` of a node. */
function placeOf(file: SourceFile, node: Node): string {
  return `${file.path}:${file.text.slice(0, node.start).split('\n').length}`;
}

/** Where nodes of src are that must not be, but for files that may have them. */
function placesOf(isWanted: (node: Node) => boolean, except: readonly string[] = []): string[] {
  return files
    .filter((file) => !except.some((prefix) => file.path.startsWith(prefix)))
    .flatMap((file) => file.nodes.filter(isWanted).map((node) => placeOf(file, node)));
}

function isMember(node: Node, object: string, property?: string): boolean {
  if (node.type !== 'MemberExpression' || nameOf(node['object']) !== object) return false;
  const { property: given } = node as { property?: unknown };
  return property === undefined || nameOf(given) === property || (isNode(given) && given['value'] === property);
}

/** The text of a string, or of one piece of a template. */
function textOf(node: Node): string {
  if (node.type === 'Literal' && typeof node['value'] === 'string') return node['value'];
  if (node.type !== 'TemplateElement') return '';
  return (node['value'] as { raw: string }).raw;
}

function findCycle(): string[] {
  const done = new Set<string>();
  const visit = (path: string, way: readonly string[]): string[] => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const next of fileOf.get(path)?.imports ?? []) {
      const cycle = visit(next, [...way, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  };
  for (const { path } of files) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

describe('the files of src', () => {
  it('import only the rooms their own room may know', () => {
    const faults = files.flatMap(({ path, imports }) => {
      const room = roomOf(path);
      const rooms = allowed[room];
      if (rooms === undefined) return [`${path}: the room ${room} is not in the table`];
      if (rooms.includes('*')) return [];
      return [...imports]
        .filter((target) => !rooms.includes(roomOf(target)) && roomOf(target) !== room)
        .map((target) => `${path} -> ${target}`);
    });
    expect(faults).toEqual([]);
  });

  it('import nothing outside src, and nothing that is not there', () => {
    const paths = new Set(files.map(({ path }) => path));
    const faults = files.flatMap(({ path, uses }) =>
      [...uses].filter((target) => !paths.has(target)).map((target) => `${path} -> ${target}`),
    );
    expect(faults).toEqual([]);
  });

  it('do not import in a circle', () => {
    expect(findCycle()).toEqual([]);
  });

  it('are all used by the gateway or the bench, not by tests alone', () => {
    const reached = new Set<string>();
    const reach = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const next of fileOf.get(path)?.uses ?? []) reach(next);
    };
    reach('src/main.ts');
    reach('src/reconcile.ts');
    for (const { path } of everything) if (path.startsWith('bench/') && !isTest(path)) reach(path);
    expect(files.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
  });

  it('export only what another file takes, not for tests alone', () => {
    const taken = new Set(everything.filter(({ path }) => !isTest(path)).flatMap((file) => [...file.taken]));
    const tested = new Set(everything.filter(({ path }) => isTest(path)).flatMap((file) => [...file.taken]));
    const faults: string[] = [];
    for (const { path, exported, nodes } of files) {
      for (const name of exported) {
        const full = `${path} ${name}`;
        if (taken.has(full) || full in forTests || path in forTests) continue;
        // A type that other exports of its file speak of may have a name outside it.
        const mentions = nodes.filter((node) => node.type === 'TSTypeReference' && nameOf(node['typeName']) === name);
        if (mentions.length > 0) continue;
        faults.push(tested.has(full) ? `${full} (tests only)` : full);
      }
    }
    expect(faults).toEqual([]);
  });

  it(`have ${linesMax} lines at most`, () => {
    const long = files.filter(({ text }) => text.split('\n').length - 1 > linesMax);
    expect(long.map(({ path, text }) => `${path}: ${text.split('\n').length - 1}`)).toEqual([]);
  });

  it('begin with a comment that says what they are for', () => {
    const bare = files.filter(({ path, text }) => !path.startsWith('src/embedded/') && !text.startsWith('/**'));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });
});

describe('in src', () => {
  it('only config.ts reads the environment, and those that start hand it over', () => {
    const known = ['src/config.ts', 'src/main.ts', 'src/reconcile.ts', 'src/embedded/'];
    expect(placesOf((node) => isMember(node, 'process', 'env'), known)).toEqual([]);
  });

  it('nobody writes to the console', () => {
    expect(placesOf((node) => isMember(node, 'console'))).toEqual([]);
  });

  it('nothing is any', () => {
    expect(placesOf((node) => node.type === 'TSAnyKeyword')).toEqual([]);
  });

  it('only the server, the sockets and the reply know uWebSockets.js', () => {
    const users = files.filter(({ packages }) => packages.has('uWebSockets.js')).map(({ path }) => path);
    const known = ['reply', 'server', 'socket-client', 'sockets'].map((name) => `src/gateway/${name}.ts`);
    expect(users.filter((path) => !known.includes(path))).toEqual([]);
  });

  it('only persist speaks SQL', () => {
    const sql =
      /^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+TABLE\s|ALTER\s+TABLE\s|START\s+TRANSACTION)/i;
    // The embedded servers are set up before there is anything of ours in them.
    expect(placesOf((node) => sql.test(textOf(node)), ['src/persist/', 'src/embedded/'])).toEqual([]);
  });

  it('only persist knows mysql2, and only lua knows ioredis', () => {
    const of = (name: RegExp): string[] => [
      ...new Set(
        files.filter(({ packages }) => [...packages].some((used) => name.test(used))).map(({ path }) => roomOf(path)),
      ),
    ];
    expect(of(/^mysql2/).filter((room) => room !== 'embedded')).toEqual(['persist']);
    expect(of(/^ioredis/).filter((room) => room !== 'embedded')).toEqual(['lua']);
  });

  it('only keys.ts makes keys of Redis', () => {
    expect(
      placesOf((node) => /\{[pu](\d|$)/.test(textOf(node)) || /^fastpass:\w/.test(textOf(node)), ['src/lua/keys.ts']),
    ).toEqual([]);
  });
});

describe('the modules of the pages', () => {
  const client = 'src/client/index.ts';

  it('import their own folder, public/lib and the client, so that they run in a browser as they stand', () => {
    const faults = served.flatMap(({ path, imports }) =>
      [...imports]
        .filter((target) => target !== client && ![roomOf(path), 'lib'].includes(roomOf(target)))
        .map((target) => `${path} -> ${target}`),
    );
    expect(faults).toEqual([]);
  });

  it('take the packages that the gateway serves, plots in the control room alone', () => {
    const common = ['preact', 'preact/hooks', 'htm/preact'];
    const faults = served.flatMap(({ path, packages }) =>
      [...packages]
        .filter((name) => !common.includes(name) && !(name === 'uplot' && roomOf(path) === 'admin'))
        .map((name) => `${path} -> ${name}`),
    );
    expect(faults).toEqual([]);
  });

  it('are all loaded by a page, and export only what another of them takes', () => {
    const reached = new Set<string>();
    const reach = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const next of fileOf.get(path)?.imports ?? []) reach(next);
    };
    for (const { path } of served) if (path.endsWith('/main.ts')) reach(path);
    expect(served.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([]);
    const taken = new Set(served.flatMap((file) => [...file.taken]));
    const faults = served.flatMap(({ path, exported, nodes }) =>
      exported
        .filter((name) => !taken.has(`${path} ${name}`))
        .filter((name) => !nodes.some((node) => node.type === 'TSTypeReference' && nameOf(node['typeName']) === name))
        .map((name) => `${path} ${name}`),
    );
    expect(faults).toEqual([]);
  });

  it(`have ${linesMax} lines at most, a comment at their head, no any, and nothing that makes HTML of a text`, () => {
    const faults = served.flatMap((file) => {
      const { path, text, nodes } = file;
      const unwanted = nodes.filter(
        (node) =>
          node.type === 'TSAnyKeyword' ||
          isMember(node, 'console') ||
          nameOf(node['property']) === 'innerHTML' ||
          nameOf(node['key']) === 'dangerouslySetInnerHTML',
      );
      return [
        // Tables of texts have no screen to fit on.
        ...(text.split('\n').length - 1 > linesMax && !path.endsWith('/texts.ts') ? [`${path} is long`] : []),
        ...(text.startsWith('/**') ? [] : [`${path} begins without a comment`]),
        ...unwanted.map((node) => placeOf(file, node)),
      ];
    });
    expect(faults).toEqual([]);
  });

  it('have no line in a template that looks like a comment: those are left out on the way to a browser', () => {
    const sent = everything.filter(({ path }) => /^(public|src\/client)\//.test(path) && !isTest(path));
    const faults = sent.flatMap((file) =>
      file.nodes
        .filter(
          (node) => node.type === 'TemplateElement' && /^[ \t]*(\/\/|\/\*\*)/m.test(textOf(node).replace(/^.*/, '')),
        )
        .map((node) => placeOf(file, node)),
    );
    expect(faults).toEqual([]);
  });
});
