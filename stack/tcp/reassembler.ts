import { NONE, type Slab } from '../base/memory';
import type { Connection } from './connection';
import { NODE_COST, type ReceiveStore } from './receive-store';
import { type Seq, seqAdd, seqAfter, seqBefore, seqDiff } from './seq';

/** Appends in-order text, already trimmed to RCV.NXT and the window, to what the application may read. */
export function appendText(c: Connection, store: ReceiveStore, slab: Slab, at: number, bytes: number): void {
  const node = store.add(c.rcvNxt, slab, at, bytes);
  linkReadable(c, store, node);
  c.charged += bytes + NODE_COST;
}

function linkReadable(c: Connection, store: ReceiveStore, node: number): void {
  if (c.readTail === NONE) c.readHead = node;
  else store.setNext(c.readTail, node);
  c.readTail = node;
  c.readable += store.bytes(node);
  c.rcvNxt = seqAdd(store.seq(node), store.bytes(node));
  c.bytesReceived += store.bytes(node);
}

/**
 * Queues text that lies beyond a hole, sorted and without overlap: what is there already stays, the new text is cut. Sets
 * `c.sackRecent` for the block that now holds it (RFC 2018 §4) and the D-SACK range for what was a duplicate (RFC 2883).
 * Returns false when nothing of it was new.
 */
export function queueBeyondHole(
  c: Connection,
  store: ReceiveStore,
  seq: Seq,
  slab: Slab,
  at: number,
  bytes: number,
): boolean {
  // Where it goes: behind the last node that begins at or before it. Mostly that is the tail.
  let before = NONE;
  if (c.oooTail !== NONE && !seqAfter(store.seq(c.oooTail), seq)) {
    before = c.oooTail;
  } else {
    for (let node = c.oooHead; node !== NONE && !seqAfter(store.seq(node), seq); node = store.next(node)) before = node;
  }
  if (before !== NONE) {
    const overlap = seqDiff(seqAdd(store.seq(before), store.bytes(before)), seq);
    if (overlap > 0) {
      noteDuplicate(c, seq, seqAdd(seq, Math.min(overlap, bytes)));
      if (overlap >= bytes) {
        noteBlock(c, store, before);
        return false;
      }
      seq = seqAdd(seq, overlap);
      at += overlap;
      bytes -= overlap;
    }
  }
  const node = store.add(seq, slab, at, bytes);
  const after = before === NONE ? c.oooHead : store.next(before);
  store.setNext(node, after);
  if (before === NONE) c.oooHead = node;
  else store.setNext(before, node);
  if (after === NONE) c.oooTail = node;
  c.oooNodes++;
  c.charged += bytes + NODE_COST;
  cutFollowing(c, store, node);
  noteBlock(c, store, node);
  return true;
}

/** Nodes behind `node` that it covers go; one that it reaches into is trimmed. */
function cutFollowing(c: Connection, store: ReceiveStore, node: number): void {
  const end = seqAdd(store.seq(node), store.bytes(node));
  for (let next = store.next(node); next !== NONE; next = store.next(node)) {
    const overlap = seqDiff(end, store.seq(next));
    if (overlap <= 0) return;
    const bytes = store.bytes(next);
    noteDuplicate(c, store.seq(next), seqAdd(store.seq(next), Math.min(overlap, bytes)));
    if (overlap < bytes) {
      store.trimFront(next, overlap);
      c.charged -= overlap;
      return;
    }
    store.setNext(node, store.next(next));
    if (c.oooTail === next) c.oooTail = node;
    c.oooNodes--;
    c.charged -= bytes + NODE_COST;
    store.release(next);
  }
}

function noteDuplicate(c: Connection, start: Seq, end: Seq): void {
  if (c.hasDsack || !c.sackOk || !c.tcp.profile.dsack) return;
  c.dsackStart = start;
  c.dsackEnd = end;
  c.hasDsack = true;
}

/** A hole was filled: moves what has become contiguous to the readable text. Returns true when anything moved. */
export function drainContiguous(c: Connection, store: ReceiveStore): boolean {
  let moved = false;
  while (c.oooHead !== NONE && !seqAfter(store.seq(c.oooHead), c.rcvNxt)) {
    const node = c.oooHead;
    c.oooHead = store.next(node);
    if (c.oooHead === NONE) c.oooTail = NONE;
    c.oooNodes--;
    const overlap = seqDiff(c.rcvNxt, store.seq(node));
    if (overlap > 0) noteDuplicate(c, store.seq(node), seqAdd(store.seq(node), Math.min(overlap, store.bytes(node))));
    if (overlap >= store.bytes(node)) {
      c.charged -= store.bytes(node) + NODE_COST;
      store.release(node);
      continue;
    }
    if (overlap > 0) {
      store.trimFront(node, overlap);
      c.charged -= overlap;
    }
    store.setNext(node, NONE);
    linkReadable(c, store, node);
    moved = true;
  }
  forgetBlocks(c);
  return moved;
}

/** Puts the block around `node` in front of the recently reported ones. */
function noteBlock(c: Connection, store: ReceiveStore, node: number): void {
  const start = store.seq(node);
  let end = seqAdd(start, store.bytes(node));
  for (let next = store.next(node); next !== NONE && store.seq(next) === end; next = store.next(next)) {
    end = seqAdd(end, store.bytes(next));
  }
  noteRange(c, start, end);
}

/** A FIN beyond a hole is kept as text is, and reported as such: it need not come again either. */
export function noteFin(c: Connection): void {
  noteRange(c, c.finSeq, seqAdd(c.finSeq, 1));
}

/** [start, end) becomes the block reported first; blocks it has grown into disappear. */
function noteRange(c: Connection, start: Seq, end: Seq): void {
  const r = (c.sackRecent ??= new Int32Array(8));
  let kept = 0;
  let s0 = start;
  let e0 = end;
  // A recent block that touches the new one is part of it now: it tells how far to the left the block reaches.
  for (let i = 0; i < c.sackRecentCount; i++) {
    const s = r[2 * i]! as Seq;
    const e = r[2 * i + 1]! as Seq;
    if (!seqAfter(s, e0) && !seqAfter(s0, e)) {
      if (seqBefore(s, s0)) s0 = s;
      if (seqAfter(e, e0)) e0 = e;
      continue;
    }
    r[2 * kept] = s;
    r[2 * kept + 1] = e;
    kept++;
  }
  kept = Math.min(kept, 3);
  r.copyWithin(2, 0, 2 * kept);
  r[0] = s0;
  r[1] = e0;
  c.sackRecentCount = kept + 1;
}

/** Blocks at or below RCV.NXT need no report any more. */
function forgetBlocks(c: Connection): void {
  const r = c.sackRecent;
  if (r === null) return;
  let kept = 0;
  for (let i = 0; i < c.sackRecentCount; i++) {
    if (!seqAfter(r[2 * i + 1]! as Seq, c.rcvNxt)) continue;
    r[2 * kept] = r[2 * i]!;
    r[2 * kept + 1] = r[2 * i + 1]!;
    kept++;
  }
  c.sackRecentCount = kept;
}

/** Releases everything queued. */
export function discardText(c: Connection, store: ReceiveStore): void {
  discardBeyondHole(c, store);
  for (let node = c.readHead; node !== NONE; node = release(store, node));
  c.readHead = c.readTail = NONE;
  c.readable = c.charged = 0;
}

/** Releases what can never become readable any more. */
export function discardBeyondHole(c: Connection, store: ReceiveStore): void {
  for (let node = c.oooHead; node !== NONE; node = release(store, node)) c.charged -= store.bytes(node) + NODE_COST;
  c.oooHead = c.oooTail = NONE;
  c.oooNodes = c.sackRecentCount = 0;
}

function release(store: ReceiveStore, node: number): number {
  const next = store.next(node);
  store.release(node);
  return next;
}
