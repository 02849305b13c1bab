/** The language of the page, and its texts: each page has a table of its own, with the same names in both languages. */

export type Language = 'en' | 'ko';

const key = 'fastpass.language';

function chosen(): Language {
  const kept = keptText(key);
  if (kept === 'en' || kept === 'ko') return kept;
  return navigator.language.toLowerCase().startsWith('ko') ? 'ko' : 'en';
}

export const language: Language = chosen();

/** The texts of the language at hand. Both must have the same names, functions for those with a value in them. */
export function texts<Texts extends object>(all: { readonly en: Texts; readonly ko: NoInfer<Texts> }): Texts {
  return all[language];
}

/** Keeps the choice and shows the page in it: places in queues and holds are with the gateway, nothing is lost. */
export function chooseLanguage(other: Language): void {
  keepText(key, other);
  location.reload();
}

/** What was kept in this browser; null for nothing, or where it keeps nothing. */
export function keptText(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a text in this browser, or takes it out (null). A browser may forbid it: then it is gone with the page. */
export function keepText(name: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(name);
    else localStorage.setItem(name, text);
  } catch {
    // Not kept.
  }
}
