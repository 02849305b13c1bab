/** `/docs`: Swagger UI over our own document, from node_modules; the page asks nobody but this gateway for anything. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import Type from 'typebox';
import { described } from './answers.ts';
import { matchesTag } from './etag.ts';
import type { Answer } from './reply.ts';
import type { Call, Route } from './route.ts';

interface PageFile {
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly mediaType: string;
  /** How it begins, or the like: for the document. */
  readonly example: string;
  /** Where it lies. */
  readonly file: string;
}

const { resolve: inPackages } = createRequire(import.meta.url);
const inPublic = (name: string): string => fileURLToPath(new URL(`../../public/docs/${name}`, import.meta.url));

const pageFiles: readonly PageFile[] = [
  {
    path: '/docs',
    operationId: 'showDocument',
    summary: 'The OpenAPI document to read and to try',
    mediaType: 'text/html',
    example: '<!doctype html>',
    file: inPublic('index.html'),
  },
  {
    path: '/docs/viewer.js',
    operationId: 'readViewerScript',
    summary: 'The viewer of /docs',
    mediaType: 'text/javascript',
    example: '!function(){}();',
    file: inPackages('swagger-ui-dist/swagger-ui-bundle.js'),
  },
  {
    path: '/docs/viewer.css',
    operationId: 'readViewerStyle',
    summary: 'The style of /docs',
    mediaType: 'text/css',
    example: '.swagger-ui{}',
    file: inPackages('swagger-ui-dist/swagger-ui.css'),
  },
  {
    path: '/docs/start.js',
    operationId: 'readStartScript',
    summary: 'What starts the viewer of /docs',
    mediaType: 'text/javascript',
    example: 'window.SwaggerUIBundle({});',
    file: inPublic('start.js'),
  },
];

// The viewer draws its icons from data: URLs in its style sheet, and sends what is tried out to this gateway alone.
const securityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** A file as it is answered: read at its first request, and kept. */
class ServedFile {
  readonly #file: string;
  readonly #type: string;
  #answers: Promise<{ readonly whole: Answer; readonly unchanged: Answer; readonly etag: string }> | null = null;

  constructor({ file, mediaType }: PageFile) {
    this.#file = file;
    this.#type = `${mediaType}; charset=utf-8`;
  }

  async answer(ifNoneMatch: string): Promise<Answer> {
    this.#answers ??= this.#read().catch((thrown: unknown) => {
      // Not for good: the next request tries again.
      this.#answers = null;
      throw thrown;
    });
    const { whole, unchanged, etag } = await this.#answers;
    return matchesTag(ifNoneMatch, etag) ? unchanged : whole;
  }

  async #read() {
    const body = await readFile(this.#file);
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    const headers = [
      ['etag', etag],
      // Kept, but asked for: an update of the gateway is seen at once.
      ['cache-control', 'no-cache'],
      ['content-security-policy', securityPolicy],
      ['x-content-type-options', 'nosniff'],
      ['referrer-policy', 'no-referrer'],
    ] as const;
    const whole: Answer = { status: 200, text: { type: this.#type, body }, headers };
    return { whole, unchanged: { status: 304, headers }, etag };
  }
}

function routeOf(pageFile: PageFile): Route {
  const { path, operationId, summary, mediaType, example } = pageFile;
  const served = new ServedFile(pageFile);
  const text = described(Type.String(), { text: example });
  return {
    method: 'get',
    path,
    operationId,
    tag: 'Operations',
    summary,
    auth: 'none',
    headers: ['if-none-match'],
    success: [
      { status: 200, description: 'The file', answer: text, mediaType, headers: ['ETag'] },
      { status: 304, description: '`If-None-Match` still holds', headers: ['ETag'] },
    ],
    codes: [],
    handle: (call: Call) => served.answer(call.headers[0] ?? ''),
  };
}

/** The page and what it loads. */
export function documentRoutes(): Route[] {
  return pageFiles.map(routeOf);
}
