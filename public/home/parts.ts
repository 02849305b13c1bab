/** Small parts that several places of this page are made of. */
import { html } from 'htm/preact';
import type { ComponentChildren, RefObject, VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t } from './texts.ts';

interface ButtonProps {
  readonly children: ComponentChildren;
  readonly isBusy?: boolean;
  /** Instead of its text while it is at work. */
  readonly busy?: string;
  readonly class?: string;
  /** Without it, the button of its form. */
  readonly onClick?: () => unknown;
}

/** A button that keeps the focus while it is at work, and then does nothing. */
export function Button({ children, isBusy = false, busy, class: name = '', onClick }: ButtonProps): VNode {
  const click = (): void => {
    if (!isBusy) onClick?.();
  };
  return html`
    <button type=${onClick === undefined ? 'submit' : 'button'} class=${name} aria-disabled=${isBusy} onClick=${click}>
      ${isBusy && busy !== undefined ? busy : children}
    </button>
  ` as VNode;
}

interface FaultProps {
  readonly sentence: string;
  /** Something is shown all the same. */
  readonly isStale?: boolean;
  /** Changes with every answer. */
  readonly answers: number;
  readonly onAgain: () => void;
}

/** Why there is nothing to see, and another try. When it goes, and its button had the focus, the content takes it. */
export function Fault({ sentence, isStale = false, answers, onAgain }: FaultProps): VNode {
  const [triedAt, setTriedAt] = useState<number | null>(null);
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(
    () => () => {
      if (place.current?.contains(document.activeElement))
        document.getElementById('content')?.focus({ preventScroll: true });
    },
    [],
  );
  const again = (): void => {
    setTriedAt(answers);
    onAgain();
  };
  return html`
    <div class=${`notice fault ${isStale ? 'warn' : 'bad'}`} ref=${place} role="alert">
      <p>${sentence} ${isStale && t.stale}</p>
      <${Button} isBusy=${triedAt === answers} busy=${t.trying} onClick=${again}>${t.tryAgain}</${Button}>
    </div>
  ` as VNode;
}

/** Whether an element is in the window, or nearly. */
export function useIsInView(place: RefObject<HTMLElement | null>): boolean {
  const [isInView, setIsInView] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setIsInView(entries.at(-1)?.isIntersecting === true), {
      rootMargin: '200px 0px',
    });
    if (place.current !== null) observer.observe(place.current);
    return () => observer.disconnect();
  }, [place]);
  return isInView;
}

/** Brings an element into view and gives it the focus. */
export function goTo(element: HTMLElement | null): void {
  element?.focus({ preventScroll: true });
  const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  element?.scrollIntoView({ block: 'center', behavior: isCalm ? 'auto' : 'smooth' });
}
