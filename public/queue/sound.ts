/** Whether a sound is wanted for the turn: off until somebody says so, and remembered. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { keepText, keptText } from '../lib/texts.ts';
import { chime, unlockSound } from './chime.ts';
import { t } from './texts.ts';

const key = 'fastpass.sound';

export function isSoundWanted(): boolean {
  return keptText(key) === 'on';
}

export function SoundChoice(): VNode {
  const [isOn, setIsOn] = useState(isSoundWanted());
  useEffect(() => {
    if (!isOn) return;
    // Remembered from before a reload: the next touch of the page allows it.
    const unlock = (): void => void unlockSound();
    addEventListener('pointerdown', unlock);
    addEventListener('keydown', unlock);
    return () => {
      removeEventListener('pointerdown', unlock);
      removeEventListener('keydown', unlock);
    };
  }, [isOn]);
  async function choose(event: Event): Promise<void> {
    const now = (event.currentTarget as HTMLInputElement).checked;
    keepText(key, now ? 'on' : null);
    setIsOn(now);
    if (!now) return;
    await unlockSound();
    // So that one knows what to listen for.
    chime();
  }
  return html`<label><input type="checkbox" checked=${isOn} onChange=${choose} />${t.sound}</label>` as VNode;
}
