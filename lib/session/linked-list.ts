/** An item of a `LinkedList`. The list alone sets its neighbours. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
}

/** A list of items that hold their own neighbours: nothing is allocated per item, and an item is in at most one list. */
export class LinkedList<T extends Linked<T>> {
  #first: T | undefined = undefined;
  #last: T | undefined = undefined;

  get first(): T | undefined {
    return this.#first;
  }

  append(item: T): void {
    item.previous = this.#last;
    item.next = undefined;
    if (this.#last === undefined) this.#first = item;
    else this.#last.next = item;
    this.#last = item;
  }

  prepend(item: T): void {
    item.previous = undefined;
    item.next = this.#first;
    if (this.#first === undefined) this.#last = item;
    else this.#first.previous = item;
    this.#first = item;
  }

  /** Removes `item`, which is in this list. */
  remove(item: T): void {
    if (item.previous === undefined) this.#first = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.#last = item.previous;
    else item.next.previous = item.previous;
    item.previous = undefined;
    item.next = undefined;
  }

  /** The items, first to last. The current one must not be removed meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let item = this.#first; item !== undefined; item = item.next) yield item;
  }
}
