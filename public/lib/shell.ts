/** What stands around every page: the way home, who is logged in, language and colours. */

import { html } from 'htm/preact';
import { type ComponentChildren, render, type VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { logOut, useLogin } from './session.ts';
import { chooseLanguage, keepText, keptText, type Language, language, texts } from './texts.ts';

const t = texts({
  en: {
    skip: 'Skip to the content',
    home: 'What is on sale',
    admin: 'Control room',
    api: 'API',
    logIn: 'Log in',
    logOut: 'Log out',
    language: 'Language',
    colours: 'Colours',
    system: 'As the system',
    light: 'Light',
    dark: 'Dark',
  },
  ko: {
    skip: '본문으로 건너뛰기',
    home: '판매 중인 공연',
    admin: '관제실',
    api: 'API',
    logIn: '로그인',
    logOut: '로그아웃',
    language: '언어',
    colours: '색상',
    system: '시스템 설정',
    light: '밝게',
    dark: '어둡게',
  },
});

const coloursKey = 'fastpass.colours';
type Colours = 'light dark' | 'light' | 'dark';

function keptColours(): Colours {
  const kept = keptText(coloursKey);
  return kept === 'light' || kept === 'dark' ? kept : 'light dark';
}

/** What is drawn on a canvas hears of it by this event on `document`. */
export const coloursEvent = 'fastpass-colours';

function applyColours(colours: Colours): void {
  document.documentElement.style.colorScheme = colours;
  document.dispatchEvent(new Event(coloursEvent));
}

document.documentElement.lang = language;
applyColours(keptColours());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => applyColours(keptColours()));

function Choices(): VNode {
  const [colours, setColours] = useState(keptColours());
  const onColours = (event: Event): void => {
    const now = (event.currentTarget as HTMLSelectElement).value as Colours;
    keepText(coloursKey, now === 'light dark' ? null : now);
    applyColours(now);
    setColours(now);
  };
  const onLanguage = (event: Event): void =>
    chooseLanguage((event.currentTarget as HTMLSelectElement).value as Language);
  return html`
    <footer class="foot">
      <label>${t.language}
        <select value=${language} onChange=${onLanguage}>
          <option value="en" lang="en">English</option>
          <option value="ko" lang="ko">한국어</option>
        </select>
      </label>
      <label>${t.colours}
        <select value=${colours} onChange=${onColours}>
          <option value="light dark">${t.system}</option>
          <option value="light">${t.light}</option>
          <option value="dark">${t.dark}</option>
        </select>
      </label>
      <a href="/docs">${t.api}</a>
    </footer>
  ` as VNode;
}

function Top(): VNode {
  const login = useLogin();
  const who = useRef<HTMLDivElement>(null);
  const [hasLeft, setHasLeft] = useState(false);
  useEffect(() => {
    // The button that had the focus is gone.
    if (hasLeft && login === null) who.current?.querySelector('a')?.focus();
    setHasLeft(false);
  }, [hasLeft, login]);
  const leave = (): Promise<void> => {
    setHasLeft(true);
    return logOut();
  };
  const link = (href: string, text: string): unknown => html`
    <a href=${href} aria-current=${location.pathname === href ? 'page' : undefined}>${text}</a>
  `;
  return html`
    <header class="top">
      <a class="skip" href="#content">${t.skip}</a>
      <a class="brand" href="/">fastpass</a>
      <nav aria-label="fastpass">
        ${link('/', t.home)}
        ${login?.role === 'admin' && link('/admin', t.admin)}
      </nav>
      <div class="who" ref=${who}>
        ${
          login === null
            ? html`<a href="/#account">${t.logIn}</a>`
            : html`<span class="email">${login.email}</span> <button type="button" class="quiet" onClick=${leave}>${t.logOut}</button>`
        }
      </div>
    </header>
  ` as VNode;
}

export interface ShellProps {
  /** Of the browser's tab; the heading in the page is the page's own. */
  readonly title: string;
  /** The whole width of the window: seat maps, control room. */
  readonly isWide?: boolean;
  readonly children: ComponentChildren;
}

/** A page inside its frame. */
export function Shell({ title, isWide = false, children }: ShellProps): VNode {
  useEffect(() => {
    document.title = `${title} · fastpass`;
  }, [title]);
  return html`
    <${Top} />
    <main id="content" class=${isWide ? 'wide' : ''} tabindex="-1">${children}</main>
    <${Choices} />
  ` as VNode;
}

/** Draws a page in place of what its HTML shows while it loads. */
export function show(page: VNode): void {
  const place = document.getElementById('page')!;
  place.replaceChildren();
  render(page, place);
}
