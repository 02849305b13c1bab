/** What k6 has of `console`: its types leave it to the DOM's, which have much that k6 has not. */
declare const console: { log(...values: unknown[]): void; error(...values: unknown[]): void };
