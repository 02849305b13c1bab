/** What went wrong, for people, in the language of the page. */
import { type Code, NetworkError, type Problem } from '../../src/client/index.ts';
import { language, texts } from './texts.ts';

/** Sentences of the codes; what is missing in one language is said by the gateway, in English. */
const sentences: Readonly<Record<Code, string>> = texts({
  en: {
    validation_failed: 'Something in the form is not right.',
    unauthorized: 'Your session has ended. Log in again.',
    insufficient_balance: 'Your balance is too low. Charge it and pay again.',
    forbidden: 'This is not allowed for your account.',
    booking_not_open: 'Booking has not opened yet.',
    booking_closed: 'Booking is closed.',
    queue_pass_required: 'There is a waiting room: join it first.',
    queue_pass_invalid: 'Your turn is over. Join the waiting room again.',
    performance_not_found: 'There is no such performance.',
    event_not_found: 'There is no such event.',
    seat_not_found: 'There is no such seat.',
    reservation_not_found: 'There is no such reservation.',
    not_found: 'There is nothing here.',
    method_not_allowed: 'This cannot be done here.',
    idempotency_key_reused: 'This was asked for before, with other contents.',
    seat_taken: 'Somebody was faster.',
    sold_out: 'There are not enough places left.',
    already_reserved: 'You have a reservation for this performance already.',
    reservation_expired: 'The time to pay is over; the places are free again.',
    reservation_not_payable: 'This reservation cannot be paid any more.',
    email_taken: 'There is an account with this address already. Log in instead.',
    payload_too_large: 'That is too much at once.',
    unsupported_media_type: 'The gateway cannot read this.',
    rate_limited: 'Too many tries. Wait a moment, then try again.',
    overloaded: 'Very many people are here at this moment. Try again.',
    unavailable: 'We cannot answer at this moment. Try again.',
  },
  ko: {
    validation_failed: '입력한 내용을 확인해 주세요.',
    unauthorized: '로그인이 만료되었습니다. 다시 로그인해 주세요.',
    insufficient_balance: '잔액이 부족합니다. 충전한 뒤 다시 결제해 주세요.',
    forbidden: '이 계정으로는 할 수 없습니다.',
    booking_not_open: '아직 예매가 시작되지 않았습니다.',
    booking_closed: '예매가 마감되었습니다.',
    queue_pass_required: '대기열이 있습니다. 먼저 대기열에 들어가 주세요.',
    queue_pass_invalid: '입장 시간이 지났습니다. 대기열에 다시 들어가 주세요.',
    performance_not_found: '존재하지 않는 공연입니다.',
    event_not_found: '존재하지 않는 행사입니다.',
    seat_not_found: '존재하지 않는 좌석입니다.',
    reservation_not_found: '존재하지 않는 예매입니다.',
    not_found: '찾을 수 없습니다.',
    method_not_allowed: '여기서는 할 수 없습니다.',
    idempotency_key_reused: '다른 내용으로 이미 요청되었습니다.',
    seat_taken: '다른 분이 먼저 선택했습니다.',
    sold_out: '남은 자리가 부족합니다.',
    already_reserved: '이미 이 공연을 예매하셨습니다.',
    reservation_expired: '결제 시간이 지나 자리가 다시 풀렸습니다.',
    reservation_not_payable: '더 이상 결제할 수 없는 예매입니다.',
    email_taken: '이미 가입된 이메일입니다. 로그인해 주세요.',
    payload_too_large: '한 번에 보내기에 너무 많습니다.',
    unsupported_media_type: '읽을 수 없는 형식입니다.',
    rate_limited: '시도가 너무 많습니다. 잠시 뒤 다시 해 주세요.',
    overloaded: '지금 이용하는 분이 매우 많습니다. 다시 시도해 주세요.',
    unavailable: '지금은 응답할 수 없습니다. 다시 시도해 주세요.',
  },
});

const noAnswer = texts({
  en: { text: 'There is no connection to the gateway. Try again.' },
  ko: { text: '서버에 연결할 수 없습니다. 다시 시도해 주세요.' },
}).text;

/** One sentence for a refusal. Of a form it says which field, in the gateway's words. */
export function sentenceOf(problem: Problem): string {
  const sentence = sentences[problem.code] ?? problem.detail;
  if (problem.code !== 'validation_failed' || language !== 'en') return sentence;
  const [first] = problem.errors ?? [];
  return first === undefined ? problem.detail : `${first.path.replace(/^\//, '') || 'It'} ${first.message}.`;
}

/** One sentence for what a call has thrown: no answer. Anything else is a fault of the page, and thrown on. */
export function sentenceOfFailure(thrown: unknown): string {
  if (thrown instanceof NetworkError || thrown instanceof DOMException) return noAnswer;
  throw thrown;
}
