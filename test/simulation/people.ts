/** The people of a run: what they want, what they were told, and what must be true of it. */

import type { HoldOutcome, HoldRequest } from '../../src/domain/reservation.ts';
import { ReservationStatus } from '../../src/domain/reservation.ts';
import type { PlaceOutcome } from '../../src/waiting-room/places.ts';
import type { Watcher } from '../../src/waiting-room/watch.ts';
import type { SimulatedGateway } from './gateway.ts';
import { hallId, partyId, type World } from './world.ts';

const requestDeadlineMs = 2000;
const seatCount = 6;

/** A wish for places, with the answers it got. */
interface Attempt {
  request: HoldRequest;
  answers: number;
  readonly gateway: SimulatedGateway;
}

interface Person {
  readonly userId: number;
  /** Reservations that were acknowledged, and are the person's as far as known. */
  readonly reservations: string[];
  /** Wishes whose outcome is unknown: they may be repeated with their id. */
  readonly unknown: HoldRequest[];
  /** Charges whose outcome is unknown, by their request id. */
  readonly unknownCharges: { readonly requestId: string; readonly amount: number }[];
  ticket: { readonly arrival: number } | null;
  /** The last position told of the ticket. */
  position: number | null;
  pass: number;
  isAsking: boolean;
}

export class People {
  readonly #world: World;
  readonly #people: Person[];
  readonly #attempts: Attempt[] = [];
  /** Ids of the 201s. */
  readonly acknowledged = new Set<string>();
  /** What the books must have at least: charges that were acknowledged, by request id. */
  readonly #charged = new Map<string, { readonly userId: number; readonly amount: number }>();
  #calls = 0;
  /** Calls that are neither answered nor of a gateway that died. */
  readonly #open = new Map<number, SimulatedGateway>();

  constructor(world: World, count: number) {
    this.#world = world;
    this.#people = Array.from({ length: count }, (_, i) => ({
      userId: i + 1,
      reservations: [],
      unknown: [],
      unknownCharges: [],
      ticket: null,
      position: null,
      pass: 0,
      isAsking: false,
    }));
  }

  /** Somebody does something, at any gateway that lives. */
  act(): void {
    const { chance, weather } = this.#world;
    const person = chance.pick(this.#people);
    const gateway = this.#world.anyGateway();
    if (gateway === null) return;
    const what = chance.below(weather.room === 'none' ? 10 : 14);
    if (what < 5) this.#hold(person, gateway);
    else if (what === 5) this.#repeat(person, gateway);
    else if (what === 6) this.#pay(person, gateway);
    else if (what === 7) this.#cancel(person, gateway);
    else if (what < 10) this.#charge(person, gateway);
    else if (what === 10) this.#place(person, gateway, 'join');
    else if (what < 13) this.#place(person, gateway, 'look');
    else if (chance.is(0.3)) this.#place(person, gateway, 'leave');
    else this.#watch(person, gateway);
  }

  /** A hold that must be granted: everybody is gone, and there is room. Returns its outcome. */
  async holdNow(request: HoldRequest, gateway: SimulatedGateway): Promise<HoldOutcome | null> {
    let outcome: HoldOutcome | null = null;
    this.#submit(request, gateway, (answer) => {
      outcome = answer;
    });
    await this.#world.clock.advance(requestDeadlineMs + 2000);
    return outcome;
  }

  /** Every call to a process that lives has had one answer. */
  checkAnswers(): void {
    for (const { answers, gateway, request } of this.#attempts) {
      if (answers > 1) this.#world.fail(`${request.reservationId} was answered ${answers} times`);
      if (answers === 0 && !gateway.isDead) this.#world.fail(`${request.reservationId} was never answered`);
    }
    for (const gateway of this.#open.values()) {
      if (!gateway.isDead) this.#world.fail(`a call to ${gateway.name} was never answered`);
    }
  }

  /** Whatever was acknowledged is in MySQL. */
  checkAcknowledged(): void {
    const { mysql } = this.#world;
    for (const id of this.acknowledged) {
      if (!mysql.reservations.has(id)) this.#world.fail(`${id} was acknowledged and is lost`);
    }
    for (const [requestId, { userId, amount }] of this.#charged) {
      if (!mysql.requests.has(requestId)) this.#world.fail(`a charge of ${amount} by user ${userId} is lost`);
    }
  }

  #hold(person: Person, gateway: SimulatedGateway): void {
    const { chance } = this.#world;
    const performanceId = chance.is(0.6) ? hallId : partyId;
    const first = 1 + chance.below(seatCount);
    const seats = chance.is(0.5) ? [first] : [first, (first % seatCount) + 1];
    this.#submit(
      {
        reservationId: this.#world.newId(),
        performanceId,
        userId: person.userId,
        seats: performanceId === hallId ? seats : [],
        partySize: performanceId === partyId ? 1 + chance.below(4) : 0,
        isRepeat: false,
        pass: person.pass,
      },
      gateway,
      (outcome, request) => this.#onHold(person, request, outcome),
    );
  }

  #repeat(person: Person, gateway: SimulatedGateway): void {
    const request = person.unknown.shift();
    if (request === undefined) return this.#hold(person, gateway);
    this.#submit({ ...request, isRepeat: true }, gateway, (outcome) => this.#onHold(person, request, outcome));
  }

  #submit(
    request: HoldRequest,
    gateway: SimulatedGateway,
    onOutcome: (outcome: HoldOutcome, request: HoldRequest) => void,
  ): void {
    const { clock } = this.#world;
    const attempt: Attempt = { request, answers: 0, gateway };
    this.#attempts.push(attempt);
    const { reservationId, performanceId, userId, seats, partySize } = request;
    const what = `${performanceId === hallId ? `seats ${seats}` : `${partySize} places`}`;
    this.#world.note(
      `user ${userId} wants ${what} at ${gateway.name} as ${reservationId}${request.isRepeat ? ' again' : ''}`,
    );
    gateway.flush.submit(request, clock.nowMs() + requestDeadlineMs, (outcome) => {
      attempt.answers++;
      if (attempt.answers > 1) this.#world.fail(`${reservationId} was answered twice`);
      this.#world.note(`${reservationId}: ${outcome.kind === 'held' ? '201' : outcome.refusal.code}`);
      if (!gateway.isDead) onOutcome(outcome, request);
    });
    // Of a process that dies no answer comes: the person does not know either.
    if (attempt.answers === 0 && this.#world.chance.is(0.02)) {
      const person = this.#people.find((each) => each.userId === userId);
      person?.unknown.push(request);
    }
  }

  #onHold(person: Person, request: HoldRequest, outcome: HoldOutcome): void {
    const { weather, mysql } = this.#world;
    const { reservationId } = request;
    if (outcome.kind === 'refused') {
      if (outcome.refusal.code === 'unavailable') person.unknown.push(request);
      return;
    }
    const { hold } = outcome;
    const wanted = [request.reservationId, request.userId, request.partySize, ...request.seats].join();
    if (wanted !== [hold.reservationId, hold.userId, hold.partySize, ...hold.seats].join()) {
      this.#world.fail(`${reservationId} was answered with another hold`);
    }
    if (weather.ack === 'persisted' && !mysql.reservations.has(reservationId)) {
      this.#world.fail(`${reservationId} was acknowledged before MySQL had it`);
    }
    if (!this.acknowledged.has(reservationId)) person.reservations.push(reservationId);
    this.acknowledged.add(reservationId);
  }

  /** A call that settles; an unknown outcome is null. */
  #call<Result>(gateway: SimulatedGateway, work: () => Promise<Result>, then: (result: Result | null) => void): void {
    const call = ++this.#calls;
    this.#open.set(call, gateway);
    work().then(
      (result) => {
        this.#open.delete(call);
        then(result);
      },
      () => {
        this.#open.delete(call);
        then(null);
      },
    );
  }

  #pay(person: Person, gateway: SimulatedGateway): void {
    if (person.reservations.length === 0) return;
    const { mysql, chance } = this.#world;
    const reservationId = chance.pick(person.reservations);
    this.#world.note(`user ${person.userId} pays ${reservationId} at ${gateway.name}`);
    this.#call(
      gateway,
      () => gateway.payments.pay(reservationId, person.userId),
      (result) => {
        this.#world.note(`payment of ${reservationId}: ${result?.kind ?? 'unknown'}`);
        if (result?.kind !== 'paid') return;
        const payment = mysql.payments.get(reservationId);
        if (payment === undefined) this.#world.fail(`the payment of ${reservationId} is lost`);
        else if (payment.paymentId !== result.payment.paymentId) this.#world.fail(`${reservationId} was paid twice`);
      },
    );
  }

  #cancel(person: Person, gateway: SimulatedGateway): void {
    if (person.reservations.length === 0) return;
    const { mysql, chance } = this.#world;
    const reservationId = chance.pick(person.reservations);
    this.#world.note(`user ${person.userId} cancels ${reservationId} at ${gateway.name}`);
    this.#call(
      gateway,
      () => gateway.payments.cancel(reservationId, person.userId),
      (refunded) => {
        this.#world.note(`cancellation of ${reservationId}: ${refunded ?? 'none or unknown'}`);
        if (refunded === null) return;
        const status = mysql.reservations.get(reservationId)?.status;
        if (status !== ReservationStatus.CANCELLED)
          this.#world.fail(`${reservationId} was cancelled and has status ${status}`);
      },
    );
  }

  #charge(person: Person, gateway: SimulatedGateway): void {
    const { chance } = this.#world;
    const again = chance.is(0.5) ? person.unknownCharges.shift() : undefined;
    const charge = again ?? { requestId: this.#world.newId(), amount: 1 + chance.below(200) };
    const { requestId, amount } = charge;
    const { userId } = person;
    this.#call(
      gateway,
      () => gateway.payments.charge(userId, amount, requestId),
      (balance) => {
        if (balance === null) person.unknownCharges.push(charge);
        else this.#charged.set(requestId, { userId, amount });
      },
    );
  }

  #place(person: Person, gateway: SimulatedGateway, kind: 'join' | 'look' | 'leave'): void {
    // One question at a time: an answer that comes late would seem to be a step back.
    if (person.isAsking || (kind !== 'join' && person.ticket === null)) return;
    const { clock } = this.#world;
    person.isAsking = true;
    const arrival = kind === 'join' ? 0 : (person.ticket?.arrival ?? 0);
    const request = { kind, performanceId: hallId, userId: person.userId, arrival, number: 0 } as const;
    const call = ++this.#calls;
    this.#open.set(call, gateway);
    gateway.places.submit(request, clock.nowMs() + requestDeadlineMs, (outcome) => {
      this.#open.delete(call);
      person.isAsking = false;
      this.#onPlace(person, outcome);
    });
    // A process that dies says nothing; the person asks another one.
    clock.after(3000, () => {
      if (gateway.isDead) person.isAsking = false;
    });
  }

  #onPlace(person: Person, outcome: PlaceOutcome): void {
    this.#world.note(`user ${person.userId} in the room: ${JSON.stringify(outcome)}`);
    if (outcome.status === 'waiting') {
      const { arrival, position } = outcome;
      if (person.ticket?.arrival !== arrival) person.position = null;
      person.ticket = { arrival };
      if (position === null) return;
      if (person.position !== null && position > person.position && !this.#world.hasRedisLost) {
        this.#world.fail(`user ${person.userId} was told position ${position} after ${person.position}`);
      }
      person.position = position;
    } else if (outcome.status === 'admitted') {
      person.ticket = { arrival: outcome.arrival };
      person.pass = outcome.number;
    } else if (outcome.status === 'left' || outcome.status === 'expired') {
      person.ticket = null;
      person.position = null;
      person.pass = 0;
    }
  }

  /** A socket that watches the ticket for some seconds. */
  #watch(person: Person, gateway: SimulatedGateway): void {
    if (person.ticket === null) return;
    let told: number | null = null;
    const world = this.#world;
    const watcher: Watcher = {
      performanceId: hallId,
      userId: person.userId,
      arrival: person.ticket.arrival,
      state: 'asked',
      number: null,
      position: null,
      missed: 0,
      onPosition(_number, position) {
        if (told !== null && position !== null && position > told) {
          world.fail(`the socket of user ${person.userId} was told position ${position} after ${told}`);
        }
        told = position;
      },
      onAdmitted(number) {
        if (number !== null) person.pass = number;
      },
      onOver() {},
      onRefused() {},
    };
    gateway.roomWatch.add(watcher);
    world.clock.after(world.chance.ms(500, 5000), () => {
      if (!gateway.isDead) gateway.roomWatch.remove(watcher);
    });
  }
}
