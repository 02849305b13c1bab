/** Numbers, money and times as people read them in the language of the page. */
import { formatsOf } from './formats.ts';
import { language } from './texts.ts';

export { countdown, parseMoney } from './formats.ts';

const formats = formatsOf(language);

export const count: (value: number) => string = formats.count;

/** `minor`: in the minor unit, of a currency that the gateway does not know: 4500 -> `45.00`. */
export const money: (minor: number) => string = formats.money;

/** With its sign, as changes of a balance are written: `+45.00`. */
export const signedMoney: (minor: number) => string = formats.signedMoney;

/** Date and time of an ISO 8601 text, in the time zone of the browser. */
export const dateTime: (iso: string) => string = formats.dateTime;

export const timeOfDay: (iso: string) => string = formats.timeOfDay;

/** About how long, for an estimate: `less than a minute`, `about 4 minutes`. */
export const roughly: (seconds: number) => string = formats.roughly;
