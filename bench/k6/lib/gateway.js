// @ts-check
/** Requests to the gateway. Each has a name, by which thresholds and the summary tell them apart. */
import http from 'k6/http';
import { baseUrl } from './environment.js';

/** @typedef {{ userId: number, token: string }} User */

/**
 * @param {string} name
 * @param {string | null} token
 * @param {Record<string, string>} [headers]
 */
function paramsOf(name, token, headers = {}) {
  const authorization = token === null ? {} : { Authorization: `Bearer ${token}` };
  return {
    headers: { 'Content-Type': 'application/json', ...authorization, ...headers },
    tags: { name },
    responseType: /** @type {const} */ ('text'),
  };
}

/**
 * A GET.
 * @param {string} name
 * @param {string} path
 * @param {string | null} token null: the route needs none
 */
export function read(name, path, token) {
  return http.get(`${baseUrl}${path}`, paramsOf(name, token));
}

/**
 * A POST; without a body where it is null.
 * @param {string} name
 * @param {string} path
 * @param {string} token
 * @param {object | null} body
 * @param {Record<string, string>} [headers]
 */
export function create(name, path, token, body, headers) {
  return http.post(`${baseUrl}${path}`, body === null ? null : JSON.stringify(body), paramsOf(name, token, headers));
}

/**
 * A PUT.
 * @param {string} name
 * @param {string} path
 * @param {string} token
 * @param {object} body
 */
export function replace(name, path, token, body) {
  return http.put(`${baseUrl}${path}`, JSON.stringify(body), paramsOf(name, token));
}

/**
 * A DELETE.
 * @param {string} name
 * @param {string} path
 * @param {string} token
 * @param {Record<string, string>} [headers]
 */
export function remove(name, path, token, headers) {
  return http.del(`${baseUrl}${path}`, null, paramsOf(name, token, headers));
}
