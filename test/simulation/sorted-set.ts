/** A sorted set as Redis has it: members by score, those of one score by their text. */

interface Entry<Member> {
  readonly member: Member;
  readonly score: number;
}

/** Below 0 when `a` stands before `b`. Members are ASCII: their order as bytes is their order as text. */
function compare(a: Entry<string | number>, b: Entry<string | number>): number {
  if (a.score !== b.score) return a.score - b.score;
  const [first, second] = [String(a.member), String(b.member)];
  return first < second ? -1 : first > second ? 1 : 0;
}

/** Looks take the logarithm of the size; a change moves what stands behind it, which is nothing at the end. */
export class SortedSet<Member extends string | number> {
  readonly #scores: Map<Member, number>;
  readonly #sorted: Entry<Member>[];

  constructor(entries: readonly Entry<Member>[] = []) {
    this.#scores = new Map(entries.map(({ member, score }) => [member, score]));
    this.#sorted = [...entries];
  }

  get size(): number {
    return this.#sorted.length;
  }

  /** All, in order. */
  entries(): readonly Entry<Member>[] {
    return this.#sorted;
  }

  scoreOf(member: Member): number | undefined {
    return this.#scores.get(member);
  }

  /** From 0; null for one that is not here. */
  rankOf(member: Member): number | null {
    const score = this.#scores.get(member);
    return score === undefined ? null : this.#placeOf({ member, score });
  }

  set(member: Member, score: number): void {
    if (this.#scores.get(member) === score) return;
    this.delete(member);
    const entry = { member, score };
    this.#scores.set(member, score);
    this.#sorted.splice(this.#placeOf(entry), 0, entry);
  }

  /** True when it was here. */
  delete(member: Member): boolean {
    const rank = this.rankOf(member);
    if (rank === null) return false;
    this.#sorted.splice(rank, 1);
    return this.#scores.delete(member);
  }

  /** Those up to and with this score, in order, at most `countMax`. */
  upTo(score: number, countMax: number): Member[] {
    const members: Member[] = [];
    for (const entry of this.#sorted) {
      if (entry.score > score || members.length === countMax) break;
      members.push(entry.member);
    }
    return members;
  }

  /** Those between two scores, both with them, in order. */
  between(first: number, last: number): Entry<Member>[] {
    const entries: Entry<Member>[] = [];
    for (let i = this.#firstFrom(first); i < this.#sorted.length && this.#sorted[i]!.score <= last; i++) {
      entries.push(this.#sorted[i]!);
    }
    return entries;
  }

  /** Takes the first ones out. */
  pop(countMax: number): Entry<Member>[] {
    const popped = this.#sorted.splice(0, countMax);
    for (const { member } of popped) this.#scores.delete(member);
    return popped;
  }

  copy(): SortedSet<Member> {
    return new SortedSet(this.#sorted);
  }

  /** Where an entry stands, or would. */
  #placeOf(entry: Entry<Member>): number {
    return this.#search((other) => compare(other, entry) < 0);
  }

  #firstFrom(score: number): number {
    return this.#search((other) => other.score < score);
  }

  /** The first place where `isBefore` does not hold. */
  #search(isBefore: (entry: Entry<Member>) => boolean): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#sorted[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
