/** Every key of Redis. All keys of a performance carry its hash tag `{p<id>}`, so that one script touches one slot. */

/** What a performance needs for one script call; made once a performance and process, see `performanceKeys`. */
export interface PerformanceKeys {
  readonly meta: string;
  readonly seats: string;
  readonly reservations: string;
  readonly users: string;
  readonly expiry: string;
  readonly journal: string;
  readonly void: string;
  readonly late: string;
  readonly lock: string;
  readonly queue: string;
  readonly tickets: string;
  readonly waiting: string;
  readonly early: string;
  readonly active: string;
  readonly seen: string;
  readonly line: string;
  readonly used: string;
  /** Where changes of the seats are published while somebody watches. */
  readonly seatsChannel: string;
  /** Where rounds of admission are published. */
  readonly queueChannel: string;
}

/** The keys of one performance. */
export function performanceKeys(performanceId: number): PerformanceKeys {
  const tag = `{p${performanceId}}`;
  return {
    meta: `${tag}:meta`,
    seats: `${tag}:seats`,
    reservations: `${tag}:reservations`,
    users: `${tag}:users`,
    expiry: `${tag}:expiry`,
    journal: `${tag}:journal`,
    void: `${tag}:void`,
    late: `${tag}:late`,
    lock: `${tag}:lock`,
    queue: `${tag}:queue`,
    tickets: `${tag}:queue:tickets`,
    waiting: `${tag}:queue:waiting`,
    early: `${tag}:queue:early`,
    active: `${tag}:queue:active`,
    seen: `${tag}:queue:seen`,
    line: `${tag}:queue:line`,
    used: `${tag}:queue:used`,
    seatsChannel: `fastpass:seats:${performanceId}`,
    queueChannel: `fastpass:queue:${performanceId}`,
  };
}

/** Where one load writes before warm.lua puts it in place: seats, reservations, users, expiry. */
export function loadKeys(performanceId: number, loadId: string): readonly [string, string, string, string] {
  const prefix = `{p${performanceId}}:load:${loadId}`;
  return [`${prefix}:seats`, `${prefix}:reservations`, `${prefix}:users`, `${prefix}:expiry`];
}

/** Of the rehearsal of a performance: who plays it, and how it goes. */
export function rehearsalKeys(performanceId: number): { readonly lease: string; readonly state: string } {
  const prefix = `{p${performanceId}}:rehearsal`;
  return { lease: `${prefix}:lease`, state: prefix };
}

/** The answer remembered for a user's Idempotency-Key: per user, since one key may not serve two performances. */
export function idempotencyKey(userId: number, key: string): string {
  return `{u${userId}}:idempotency:${key}`;
}

/** Where gateways are asked to settle a performance, and where they answer. */
export const settleChannel = 'fastpass:settle';
export const settledChannel = 'fastpass:settled';

/** Attempts to log in, of an account or an address; `hash` names it. */
export function attemptsKey(of: 'account' | 'address', hash: string): string {
  return `fastpass:attempts:${of}:${hash}`;
}

/** Where gateways hear of tokens given back. */
export const revocationsChannel = 'fastpass:revocations';

/** Where gateways hear that the catalogue has changed. */
export const catalogChannel = 'fastpass:catalog';

/** The stream of what happened, for other services. */
export const eventsKey = 'fastpass:events';

/** Where users are told of their own reservations. */
export const reservationsChannel = 'fastpass:reservations';

/** Set of the performances with a waiting room: where the leader admits. */
export const roomsKey = 'fastpass:rooms';

/** Set of the performances that have been warm: where the journal recovery looks. */
export const warmPerformancesKey = 'fastpass:performances';

/** The leader's lease. */
export const leaseKey = 'fastpass:leader';
