/** The ticket of one room, kept where a reload of the page finds it. */

/** Where tickets are kept; `localStorage` and `sessionStorage` fit. */
export interface TicketStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem?(key: string): void;
}

/**
 * A browser may forbid its storage, or have no room left: nothing is kept then, and whoever joins again after a reload finds
 * the same place by the account.
 */
export class KeptTicket {
  readonly #storage: TicketStorage | null;
  readonly #key: string;

  constructor(storage: TicketStorage | null, performanceId: number) {
    this.#storage = storage;
    this.#key = `fastpass.ticket.${performanceId}`;
  }

  /** Null for none. */
  read(): string | null {
    try {
      return this.#storage?.getItem(this.#key) || null;
    } catch {
      return null;
    }
  }

  write(ticket: string): void {
    try {
      this.#storage?.setItem(this.#key, ticket);
    } catch {
      // Not kept; see above.
    }
  }

  forget(): void {
    try {
      if (this.#storage?.removeItem === undefined) this.#storage?.setItem(this.#key, '');
      else this.#storage.removeItem(this.#key);
    } catch {
      // As it could not be kept either.
    }
  }
}
