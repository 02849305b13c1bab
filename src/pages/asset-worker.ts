/**
 * Reads everything the pages load, once, in a thread of its own: TypeScript becomes JavaScript by leaving its types and
 * comments out, which with compression takes a tenth of a second that no hold is to wait for.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire, stripTypeScriptTypes } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { parentPort } from 'node:worker_threads';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Asset, AssetSet } from './assets.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { resolve: commonJsPath } = createRequire(import.meta.url);

const mediaTypes: Readonly<Record<string, string>> = {
  // The name stays: a browser goes by the type, and imports say `.ts` in the repository and in the browser alike.
  ts: 'text/javascript',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
};

/** Packages as browsers take them, by the name that imports say. */
const packages: Readonly<Record<string, string>> = {
  preact: 'preact',
  'preact/hooks': 'preact/hooks',
  htm: 'htm',
  'htm/preact': 'htm/preact',
  uplot: 'uplot/dist/uPlot.iife.min.js',
};

/** Behind a package's own text. uPlot's module is not minified, twice as large compressed: this makes its script one. */
const tails: Readonly<Record<string, string>> = { uplot: '\nexport default uPlot;\n' };

/** 146 KB of all files. 9 makes it 145 and 11 135, in ten and forty times as long, which the first visitor would wait for. */
const brotliQuality = 6;

interface Source {
  readonly path: string;
  readonly text: string;
}

/** Comments are a fifth of what a page of ours would load. Only those with lines of their own, which stay, empty. */
function withoutComments(script: string): string {
  return script.replace(/^[ \t]*(?:\/\*\*[\s\S]*?\*\/|\/\/.*)[ \t]*$/gm, (comment) => comment.replace(/[^\n]+/g, ''));
}

async function read(path: string, file: string): Promise<Source> {
  const text = await readFile(file, 'utf8');
  return { path, text: path.endsWith('.ts') ? withoutComments(stripTypeScriptTypes(text)) : text };
}

/** The files of a folder of ours that a browser may ask for. */
async function ownFiles(folder: string): Promise<string[]> {
  const names = await readdir(join(root, folder), { recursive: true });
  return names
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .filter(
      (path) => /\.(ts|css|svg)$/.test(path) && !/\.(test|d)\.ts$/.test(path) && !path.startsWith('public/docs/'),
    );
}

/** Specifiers of static imports; what a preload misses is loaded a little later. */
function importsOf(text: string): string[] {
  return [...text.matchAll(/^\s*(?:import|export)\b[^;'"]*?(?:from\s*)?['"]([^'"]+)['"]/gm)].map(([, name]) => name!);
}

async function assetOf({ path, text }: Source, vendored: ReadonlyMap<string, string>): Promise<[string, Asset]> {
  const plain = Buffer.from(text);
  const [brotli, zipped] = await Promise.all([
    promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: brotliQuality } }),
    promisify(gzip)(plain),
  ]);
  const type = `${mediaTypes[path.slice(path.lastIndexOf('.') + 1)]!}; charset=utf-8`;
  const isScript = type.startsWith('text/javascript');
  const imports = (isScript ? importsOf(text) : []).flatMap((name) =>
    name.startsWith('.') ? posix.join(dirname(path), name) : (vendored.get(name) ?? []),
  );
  return [path, { type, plain, brotli, gzip: zipped, imports }];
}

async function readAll(): Promise<AssetSet> {
  const own = [...(await ownFiles('public')), ...(await ownFiles('src/client'))].sort();
  const vendored = new Map(Object.keys(packages).map((name) => [name, `vendor/${name}.js`]));
  const sources = await Promise.all([
    ...own.map((path) => read(path, join(root, path))),
    ...Object.entries(packages).map(async ([name, specifier]) => {
      const file = fileURLToPath(import.meta.resolve(specifier, pathToFileURL(root).href));
      const { path, text } = await read(vendored.get(name)!, file);
      return { path, text: text + (tails[name] ?? '') };
    }),
    read('vendor/uplot.css', commonJsPath('uplot/dist/uPlot.min.css')),
  ]);
  const hash = createHash('sha256');
  for (const { path, text } of sources) hash.update(`${path} ${text.length}\n${text}`);
  return {
    version: hash.digest('hex').slice(0, 12),
    files: new Map(await Promise.all(sources.map((source) => assetOf(source, vendored)))),
    vendored,
  };
}

parentPort?.postMessage(await readAll());
