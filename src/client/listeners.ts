/** Who is told of one kind of event. */

/** Ends a subscription; calling it twice does no harm. */
export type Unsubscribe = () => void;

export class Listeners<Event> {
  readonly #listeners = new Set<(event: Event) => void>();

  add(listener: (event: Event) => void): Unsubscribe {
    // A function of its own each time: the same one may listen twice.
    const own = (event: Event): void => listener(event);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Tells all of them; one that throws keeps nobody else from hearing, and is an uncaught error as with any event. */
  tell(event: Event): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (thrown) {
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  }
}
