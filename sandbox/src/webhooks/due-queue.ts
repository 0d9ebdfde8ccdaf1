// Entries by due time, soonest first; a binary heap.
export interface Entry {
  due: number; // milliseconds
  order: number; // breaks ties
}

export interface DueQueue<T extends Entry> {
  size(): number;
  push(entry: T): void;
  peek(): T | undefined;
  pop(): T | undefined;
}

export function createDueQueue<T extends Entry>(): DueQueue<T> {
  const heap: T[] = [];
  const earlier = (a: number, b: number) => {
    const [x, y] = [heap[a] as T, heap[b] as T];
    return x.due < y.due || (x.due === y.due && x.order < y.order);
  };
  const swap = (a: number, b: number) => {
    const kept = heap[a] as T;
    heap[a] = heap[b] as T;
    heap[b] = kept;
  };
  return {
    size: () => heap.length,
    peek: () => heap[0],
    push(entry) {
      heap.push(entry);
      for (let child = heap.length - 1; child > 0; ) {
        const parent = (child - 1) >> 1;
        if (!earlier(child, parent)) break;
        swap(child, parent);
        child = parent;
      }
    },
    pop() {
      const first = heap[0];
      const last = heap.pop();
      if (heap.length > 0 && last) {
        heap[0] = last;
        for (let parent = 0; ; ) {
          let least = parent;
          for (const child of [2 * parent + 1, 2 * parent + 2]) if (child < heap.length && earlier(child, least)) least = child;
          if (least === parent) break;
          swap(parent, least);
          parent = least;
        }
      }
      return first;
    },
  };
}
