/** Numbers, money and times as people read them in the language of the page. */
import { language } from './texts.ts';

const number = new Intl.NumberFormat(language);
const decimal = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const time = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' });
const clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium' });

export function count(value: number): string {
  return number.format(value);
}

/** `minor`: in the minor unit, of a currency that the gateway does not know: 4500 -> `45.00`. */
export function money(minor: number): string {
  return decimal.format(minor / 100);
}

/** What a person types as money, in the minor unit; null where it is none. `12`, `12.5`, `1,234.50`. */
export function parseMoney(text: string): number | null {
  const plain = text.trim().replace(/[,\s](?=\d{3}(\D|$))/g, '');
  if (!/^\d{1,9}([.,]\d{1,2})?$/.test(plain)) return null;
  return Math.round(Number(plain.replace(',', '.')) * 100);
}

/** Date and time of an ISO 8601 text, in the time zone of the browser. */
export function dateTime(iso: string): string {
  return time.format(new Date(iso));
}

export function timeOfDay(iso: string): string {
  return clock.format(new Date(iso));
}

/** `4:59`, `1:02:03`; never below 0. */
export function countdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, ...rest] = parts as [number, number, number];
  const text = rest.map((part) => String(part).padStart(2, '0')).join(':');
  return hours > 0 ? `${hours}:${text}` : text.replace(/^0(?=\d)/, '');
}

/** About how long, for an estimate: `less than a minute`, `about 4 minutes`. */
export function roughly(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (language === 'ko') {
    if (seconds < 45) return '1분 이내';
    return minutes < 60 ? `약 ${Math.max(1, minutes)}분` : `약 ${number.format(Math.round(minutes / 6) / 10)}시간`;
  }
  if (seconds < 45) return 'less than a minute';
  if (minutes < 60) return `about ${Math.max(1, minutes)} ${minutes <= 1 ? 'minute' : 'minutes'}`;
  const hours = Math.round(minutes / 6) / 10;
  return `about ${number.format(hours)} ${hours === 1 ? 'hour' : 'hours'}`;
}
