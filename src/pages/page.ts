/** The HTML of a page: nothing of its content, but where everything it loads lies, so that it comes in one go. */
import { createHash } from 'node:crypto';
import { type AssetSet, withImports } from './assets.ts';

export interface Page {
  /** As the route table writes it. */
  readonly path: string;
  /** In its address bar and in the document. */
  readonly title: string;
  readonly operationId: string;
  /** The module that draws it. */
  readonly entry: string;
  /** Beside the common one. */
  readonly styles: readonly string[];
}

export const pages: readonly Page[] = [
  {
    path: '/',
    title: 'What is on sale',
    operationId: 'showHome',
    entry: 'public/home/main.ts',
    styles: ['public/home/style.css'],
  },
  {
    path: '/performances/{performanceId}/queue',
    title: 'Waiting room',
    operationId: 'showWaitingRoom',
    entry: 'public/queue/main.ts',
    styles: ['public/queue/style.css'],
  },
  {
    path: '/performances/{performanceId}',
    title: 'Choose your places',
    operationId: 'showSeats',
    entry: 'public/seats/main.ts',
    styles: ['public/seats/style.css'],
  },
  {
    path: '/admin',
    title: 'Control room',
    operationId: 'showControlRoom',
    entry: 'public/admin/main.ts',
    styles: ['vendor/uplot.css', 'public/admin/style.css'],
  },
];

/** Where an asset is asked for. */
function urlOf({ version }: AssetSet, path: string): string {
  return `/assets/${version}/${path}`;
}

function importMapOf(set: AssetSet): string {
  const imports = Object.fromEntries([...set.vendored].map(([name, path]) => [name, urlOf(set, path)]));
  return JSON.stringify({ imports });
}

/**
 * What a page may load: its own files, and the one inline script, which says where packages lie (browsers read such a map
 * from inside a page alone). Nothing goes to anybody else.
 */
export function securityPolicyOf(set: AssetSet): string {
  const mapHash = createHash('sha256').update(importMapOf(set)).digest('base64');
  return [
    "default-src 'none'",
    `script-src 'self' 'sha256-${mapHash}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

/** Everything in it is ours: no value comes from outside. */
export function htmlOf(set: AssetSet, { title, entry, styles }: Page): string {
  const preloads = withImports(set, entry)
    .filter((path) => path !== entry)
    .map((path) => `    <link rel="modulepreload" href="${urlOf(set, path)}">`);
  const sheets = ['public/style.css', ...styles].map(
    (path) => `    <link rel="stylesheet" href="${urlOf(set, path)}">`,
  );
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · fastpass</title>
    <link rel="icon" type="image/svg+xml" href="${urlOf(set, 'public/icon.svg')}">
${sheets.join('\n')}
    <script type="importmap">${importMapOf(set)}</script>
${preloads.join('\n')}
    <script type="module" src="${urlOf(set, entry)}"></script>
  </head>
  <body>
    <div id="page">
      <header class="top"><a class="brand" href="/">fastpass</a></header>
      <main><h1>${title}</h1><p role="status">Loading …</p></main>
    </div>
    <noscript><p class="notice">This page needs JavaScript. The same can be done over the API: <a href="/docs">/docs</a>.</p></noscript>
  </body>
</html>
`;
}
