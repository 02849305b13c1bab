/** The pages for people, and `/assets/`, where what they load lies. */
import { createHash } from 'node:crypto';
import Type from 'typebox';
import { Code } from '../domain/codes.ts';
import type { Asset, Assets } from '../pages/assets.ts';
import { htmlOf, type Page, pages, securityPolicyOf } from '../pages/page.ts';
import { described } from './answers.ts';
import { matchesTag } from './etag.ts';
import { type Answer, problem } from './reply.ts';
import type { Route } from './route.ts';

type Headers = readonly (readonly [string, string])[];

const html = described(Type.String(), { page: '<!doctype html>' });

/** Asked for each time, so that an update of the gateway is seen at once; what it loads is kept. */
async function pageAnswer(assets: Assets, page: Page, ifNoneMatch: string): Promise<Answer> {
  const set = await assets.read();
  const body = htmlOf(set, page);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const headers: Headers = [
    ['etag', etag],
    ['cache-control', 'no-cache'],
    ['content-security-policy', securityPolicyOf(set)],
    ['x-content-type-options', 'nosniff'],
    ['referrer-policy', 'same-origin'],
    ['cross-origin-opener-policy', 'same-origin'],
  ];
  if (matchesTag(ifNoneMatch, etag)) return { status: 304, headers };
  return { status: 200, text: { type: 'text/html; charset=utf-8', body }, headers };
}

/** The pages, as rows of the table. */
export function pageRoutes(assets: Assets): Route[] {
  return pages.map((page) => ({
    method: 'get',
    path: page.path,
    operationId: page.operationId,
    tag: 'Operations',
    summary: `The page: ${page.title.toLowerCase()}`,
    auth: 'none',
    headers: ['if-none-match'],
    success: [
      { status: 200, description: 'The page', answer: html, mediaType: 'text/html', headers: ['ETag'] },
      { status: 304, description: '`If-None-Match` still holds', headers: ['ETag'] },
    ],
    codes: [],
    handle: (call) => pageAnswer(assets, page, call.headers[0] ?? ''),
  }));
}

const noAsset = problem({ code: Code.notFound, detail: 'No such file.' });
const prefix = '/assets/';

/**
 * `/assets/VERSION/PATH`. Of another version than ours, as while gateways are updated one after the other, the same file is
 * given, but not to be kept. Rejects where the files cannot be read.
 */
export async function assetAnswer(
  assets: Assets,
  url: string,
  acceptEncoding: string,
  ifNoneMatch: string,
): Promise<Answer> {
  const set = await assets.read();
  const [version = '', ...rest] = url.slice(prefix.length).split('/');
  const path = rest.join('/');
  const asset = set.files.get(path);
  if (asset === undefined) return noAsset;
  const [encoding, body] = encodingOf(asset, acceptEncoding);
  // A proxy may keep each encoding: it needs a name of its own.
  const etag = `"${set.version}${encoding === '' ? '' : `-${encoding}`}"`;
  const headers: [string, string][] = [
    ['etag', etag],
    ['cache-control', version === set.version ? 'public, max-age=31536000, immutable' : 'no-cache'],
    ['vary', 'accept-encoding'],
    ['x-content-type-options', 'nosniff'],
  ];
  if (matchesTag(ifNoneMatch, etag)) return { status: 304, headers };
  if (encoding !== '') headers.push(['content-encoding', encoding]);
  return {
    status: 200,
    text: { type: asset.type, body: Buffer.from(body.buffer, body.byteOffset, body.length) },
    headers,
  };
}

function encodingOf(asset: Asset, acceptEncoding: string): [encoding: string, body: Uint8Array] {
  const accepted = acceptEncoding
    .toLowerCase()
    .split(',')
    .map((part) => part.trim());
  const takes = (name: string): boolean =>
    accepted.some((part) => part === name || (part.startsWith(`${name};`) && !/;\s*q=0(\.0*)?$/.test(part)));
  if (takes('br')) return ['br', asset.brotli];
  if (takes('gzip')) return ['gzip', asset.gzip];
  return ['', asset.plain];
}
