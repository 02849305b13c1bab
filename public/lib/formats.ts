/** How numbers, money and times are written in a language; format.ts has them in the language of the page. */

export interface Formats {
  count(value: number): string;
  money(minor: number): string;
  signedMoney(minor: number): string;
  dateTime(iso: string): string;
  timeOfDay(iso: string): string;
  roughly(seconds: number): string;
}

/** Times are those of `timeZone`, without it the machine's. */
export function formatsOf(language: 'en' | 'ko', timeZone?: string): Formats {
  const zone = timeZone === undefined ? {} : { timeZone };
  const cents = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  const number = new Intl.NumberFormat(language);
  const decimal = new Intl.NumberFormat(language, cents);
  const signed = new Intl.NumberFormat(language, { ...cents, signDisplay: 'exceptZero' });
  const time = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short', ...zone });
  const clock = new Intl.DateTimeFormat(language, { timeStyle: 'medium', ...zone });
  const roughlyIn = { en: roughlyInEnglish, ko: roughlyInKorean }[language];
  return {
    count: (value) => number.format(value),
    money: (minor) => decimal.format(minor / 100),
    signedMoney: (minor) => signed.format(minor / 100),
    dateTime: (iso) => time.format(new Date(iso)),
    timeOfDay: (iso) => clock.format(new Date(iso)),
    roughly: (seconds) => roughlyIn(seconds, number),
  };
}

/** Hours to one decimal: an hour and a half is not two. */
function hoursOf(minutes: number): number {
  return Math.round(minutes / 6) / 10;
}

function roughlyInEnglish(seconds: number, number: Intl.NumberFormat): string {
  const minutes = Math.round(seconds / 60);
  if (seconds < 45) return 'less than a minute';
  if (minutes < 60) return `about ${Math.max(1, minutes)} ${minutes <= 1 ? 'minute' : 'minutes'}`;
  const hours = hoursOf(minutes);
  return `about ${number.format(hours)} ${hours === 1 ? 'hour' : 'hours'}`;
}

function roughlyInKorean(seconds: number, number: Intl.NumberFormat): string {
  const minutes = Math.round(seconds / 60);
  if (seconds < 45) return '1분 이내';
  return minutes < 60 ? `약 ${Math.max(1, minutes)}분` : `약 ${number.format(hoursOf(minutes))}시간`;
}

/**
 * What a person types as money, in the minor unit; null where it is none: `12`, `12.5`, `12,50`, `1,234.50`, `1 234`. A
 * comma before three digits sets thousands apart; what would be another amount elsewhere (`0,500`, `1.234,50`) is none.
 */
export function parseMoney(text: string): number | null {
  // Korean and Japanese keyboards may write digits and points in a width of their own.
  const plain = text.normalize('NFKC').trim();
  const isGrouped = /^[1-9]\d{0,2}([, ]\d{3})+(\.\d{1,2})?$/.test(plain);
  const digits = isGrouped ? plain.replace(/[, ]/g, '') : plain;
  if (!/^\d{1,9}([.,]\d{1,2})?$/.test(digits)) return null;
  return Math.round(Number(digits.replace(',', '.')) * 100);
}

/** `4:59`, `1:02:03`; never below 0. */
export function countdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const padded = (part: number): string => String(part).padStart(2, '0');
  const tail = padded(whole % 60);
  return hours > 0 ? `${hours}:${padded(minutes)}:${tail}` : `${minutes}:${tail}`;
}
