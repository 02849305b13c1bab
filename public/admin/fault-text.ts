/** What the gateway says of a field of a form, for people. */
import { language, texts } from '../lib/texts.ts';

const known: Readonly<Record<string, string>> = texts<Record<string, string>>({
  en: {
    'must be after bookingOpensAt': 'Must be after the opening of the booking.',
    'is required with drawBeforeOpen': 'To shuffle, say when it opens.',
    'is required': 'Fill this in.',
  },
  ko: {
    'must be after bookingOpensAt': '예매 시작보다 뒤여야 합니다.',
    'is required with drawBeforeOpen': '추첨하려면 시작 시각을 입력해 주세요.',
    'is required': '필수 항목입니다.',
  },
});

/** What the gateway says of a field, in its own English words where there are no better ones. */
export function faultText(message: string): string {
  const sentence = known[message];
  if (sentence !== undefined) return sentence;
  const seatsMax = /^makes more than (\d+) seats$/.exec(message)?.[1];
  if (language === 'ko') {
    return seatsMax === undefined ? `입력값을 확인해 주세요 (${message}).` : `좌석이 ${seatsMax}석을 넘습니다.`;
  }
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}
