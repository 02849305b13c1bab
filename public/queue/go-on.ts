/**
 * On to the seats: a large button, and a countdown that does it for who only watches. It counts while the page is seen, so
 * that nobody is taken away behind their back, nor from a question that is open; whoever is still reading stops it.
 */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { t } from './texts.ts';

const goesAfterSeconds = 15;

export function GoOn({ seatsPath }: { readonly seatsPath: string }): VNode {
  const [left, setLeft] = useState(goesAfterSeconds);
  const [isStopped, setIsStopped] = useState(false);
  useEffect(() => {
    if (isStopped) return;
    const timer = setInterval(() => {
      const isAsked = document.querySelector('dialog[open]') !== null;
      if (!document.hidden && !isAsked) setLeft((before) => Math.max(0, before - 1));
    }, 1000);
    return () => clearInterval(timer);
  }, [isStopped]);
  useEffect(() => {
    if (left === 0 && !isStopped) location.assign(seatsPath);
  }, [left, isStopped, seatsPath]);
  return html`
    <p><a class="button primary on" href=${seatsPath}>${t.choose}</a></p>
    ${
      isStopped
        ? html`<p class="soft" role="status">${t.stays}</p>`
        : html`
          <p class="row soft">
            <span class="numbers">${t.goesIn(left)}</span>
            <button type="button" class="quiet" onClick=${() => setIsStopped(true)}>${t.stayHere}</button>
          </p>
        `
    }
  ` as VNode;
}
