/** Two tones for the turn, made here: a file would have to be loaded at the very moment it is needed. */

let context: AudioContext | null = null;

/** Browsers are silent until the page was touched once: to be called on a click or a key. */
export async function unlockSound(): Promise<void> {
  if (typeof AudioContext === 'undefined') return;
  context ??= new AudioContext();
  if (context.state === 'suspended') await context.resume();
}

/** Nothing where the browser has not allowed it. */
export function chime(): void {
  if (context === null || context.state !== 'running') return;
  tone(context, 659.3, 0);
  tone(context, 880, 0.22);
}

function tone(audio: AudioContext, hertz: number, afterSeconds: number): void {
  const at = audio.currentTime + afterSeconds;
  const oscillator = audio.createOscillator();
  const volume = audio.createGain();
  oscillator.frequency.value = hertz;
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.25, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.001, at + 0.6);
  oscillator.connect(volume).connect(audio.destination);
  oscillator.start(at);
  oscillator.stop(at + 0.65);
}

/** Where there is something to shake, and the page was touched: a browser writes an error for any other try. */
export function vibrate(): void {
  if (typeof navigator.vibrate === 'function' && navigator.userActivation?.hasBeenActive) {
    navigator.vibrate([200, 100, 200, 100, 400]);
  }
}
