import type { Bytes } from '../stack/base/bytes';
import { findName, NAME_SHIFT, NAME_UPGRADE } from './field-names';
import {
  fieldEnds,
  fieldNamed,
  ordinaryValue,
  valueBegins,
  valueGoesOn,
  valueMissing,
  valueStops,
} from './field-values';
import { COLON, CR, HTAB, LF, SP, tokenEnds, valueEnds } from './grammar';
import { FIELD_FOLDED, HEAD_DONE, HEAD_FIELDS, HEAD_TRAILERS, type Head } from './head';
import { ERRORS, LENIENT_HEADERS, LENIENT_OPTIONAL_CR_BEFORE_LF, LENIENT_OPTIONAL_LF_AFTER_CR } from './parse-errors';

/** States of `Head.state` in the field section. FIELDS is its first byte, FIELD the first byte of any later line. */
const FIELDS = HEAD_FIELDS;
const FIELD = HEAD_TRAILERS;
const NAME = 50;
/** Spaces between a name and its colon (lenient). */
const NAME_SPACE = 51;
/** A name that went on after such spaces: no longer one with a meaning. */
const NAME_REST = 52;
const OWS = 53;
const OWS_CR = 54;
const OWS_FOLD = 55;
const VALUE = 56;
/** After a byte that only leniency takes: anything up to the line's end. */
const VALUE_LENIENT = 57;
const VALUE_LF = 58;
const VALUE_FOLD = 59;
const END_LF = 60;

/** What findName gives for the names that field-values.ts understands is below this. */
const SPECIAL_IDS = (NAME_UPGRADE + 1) << NAME_SHIFT;

/**
 * Reads field lines from `p` until the empty line, the end of the bytes, or a fault; returns where it stopped. Lines that
 * are whole and ordinary are read in one go, all others in steps that may be interrupted at every byte.
 */
export function readFields(h: Head, b: Bytes, p: number, end: number): number {
  while (p < end && h.state < HEAD_DONE) {
    if (h.state <= FIELD) {
      p = readOrdinaryLines(h, b, p, end);
      if (p === end || h.state >= HEAD_DONE) return p;
      if (b[p] === CR && p + 1 < end && b[p + 1] === LF) return h.done(p + 2);
    }
    p = readStep(h, b, p, end);
  }
  return p;
}

/**
 * Whole lines of `name: value CR LF` with the first byte of the next line at hand. Stops, without having read any of it,
 * at a line that is anything else: cut off, folded, malformed, empty, or one whose value is missing.
 */
function readOrdinaryLines(h: Head, b: Bytes, from: number, end: number): number {
  const at = h.at;
  let line = from;
  for (;;) {
    const colon = tokenEnds(b, line, end);
    if (colon === line || colon === end || b[colon] !== COLON) return line;
    let valueAt = colon + 1;
    while (valueAt < end && (b[valueAt] === SP || b[valueAt] === HTAB)) valueAt++;
    const cr = valueEnds(b, valueAt, end);
    if (cr === valueAt || cr + 2 >= end || b[cr] !== CR || b[cr + 1] !== LF) return line;
    if (b[cr + 2] === SP || b[cr + 2] === HTAB) return line;

    h.state = FIELD;
    if (!h.token(colon - line, colon)) return h.errorAt;
    const nameId = findName(b, line, colon - line);
    if (nameId !== 0 && nameId < SPECIAL_IDS) {
      if (!readSpecial(h, nameId >> NAME_SHIFT, b, colon, valueAt, cr)) return h.errorAt;
    } else if (!h.token(cr - valueAt, cr)) {
      return h.errorAt;
    }
    let valueEnd = cr;
    while (b[valueEnd - 1] === SP || b[valueEnd - 1] === HTAB) valueEnd--;
    h.addField(line - at, colon - line, valueAt - at, valueEnd - valueAt, nameId);
    line = cr + 2;
  }
}

/** A whole line of a field that decides framing or the connection's fate. */
function readSpecial(h: Head, name: number, b: Bytes, colon: number, valueAt: number, cr: number): boolean {
  if (!fieldNamed(h, name, colon)) return false;
  if (ordinaryValue(h, b, valueAt, cr)) return h.token(cr - valueAt, cr);
  if (!valueBegins(h, valueAt)) return false;
  h.mark = valueAt - h.at;
  if (!valueGoesOn(h, b, cr) || !valueStops(h, true, cr) || !h.endToken(cr, 1)) return false;
  fieldEnds(h);
  return true;
}

/** One step of the interruptible reader: at least one byte, or a change of state. */
function readStep(h: Head, b: Bytes, p: number, end: number): number {
  switch (h.state) {
    case FIELDS:
      return firstLine(h, b[p]!, p);
    case FIELD:
      return lineBegins(h, b[p]!, p);
    case NAME:
    case NAME_REST:
      return readName(h, b, p, end);
    case NAME_SPACE:
      return nameSpace(h, b, p);
    case OWS:
      return readOws(h, b[p]!, p);
    case OWS_CR:
      return owsCr(h, b[p]!, p);
    case OWS_FOLD:
      return owsFold(h, b[p]!, p);
    case VALUE:
      return readValue(h, b, p, end);
    case VALUE_LENIENT:
      return readLenientValue(h, b, p, end);
    case VALUE_LF:
      if (b[p] !== LF) return h.fail(ERRORS.lfAfterValue, p, 0);
      h.state = VALUE_FOLD;
      return p + 1;
    case VALUE_FOLD:
      return valueFold(h, b[p]!, p);
    default: // END_LF
      if (b[p] === LF) return h.done(p + 1);
      if (h.lenient & LENIENT_OPTIONAL_LF_AFTER_CR) return h.done(p);
      return h.fail(ERRORS.lfAfterHeaders, p, 0);
  }
}

function firstLine(h: Head, c: number, p: number): number {
  if (c !== SP) return lineBegins(h, c, p);
  if ((h.lenient & LENIENT_HEADERS) === 0) return h.fail(ERRORS.spaceAfterStartLine, p, 1);
  h.state = FIELD;
  return p + 1;
}

function lineBegins(h: Head, c: number, p: number): number {
  if (c === CR) {
    h.state = END_LF;
    return p + 1;
  }
  if (c === LF) {
    if (h.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) return h.done(p + 1);
    return h.fail(ERRORS.fieldChar, p, 1);
  }
  if (c === COLON) return h.fail(ERRORS.fieldToken, p, 0);
  h.nameAt = p - h.at;
  h.mark = h.nameAt;
  h.state = NAME;
  return p;
}

function readName(h: Head, b: Bytes, p: number, end: number): number {
  p = tokenEnds(b, p, end);
  if (p === end) return p;
  const nameAt = h.at + h.nameAt;
  // An invalid first byte leaves no name to look up.
  h.nameId = h.state === NAME && p > nameAt ? findName(b, nameAt, p - nameAt) : 0;
  if (b[p] === COLON) return nameEnds(h, p);
  const name = h.nameId >> NAME_SHIFT;
  // RFC 9112 §5.1: no white space before the colon. Even leniency takes it in fields that decide framing only.
  if (b[p] !== SP || name === 0 || name > NAME_UPGRADE) return h.fail(ERRORS.fieldToken, p, 0);
  if ((h.lenient & LENIENT_HEADERS) === 0) return h.fail(ERRORS.fieldChar, p, 1);
  h.state = NAME_SPACE;
  return p + 1;
}

function nameSpace(h: Head, b: Bytes, p: number): number {
  if (b[p] === SP) return p + 1;
  if (b[p] === COLON) return nameEnds(h, p);
  h.state = NAME_REST;
  return p;
}

function nameEnds(h: Head, colon: number): number {
  h.nameBytes = colon - h.at - h.nameAt;
  if (!h.endToken(colon, 1)) return h.errorAt;
  if (!fieldNamed(h, h.nameId >> NAME_SHIFT, colon)) return h.errorAt;
  // With a space in it the name is not the known one to anybody above.
  if (h.state === NAME_SPACE) h.nameId = 0;
  h.valueAt = -1;
  h.folded = 0;
  h.state = OWS;
  return colon + 1;
}

function readOws(h: Head, c: number, p: number): number {
  if (c === SP || c === HTAB) return p + 1;
  if (c === CR) {
    h.state = OWS_CR;
    return p + 1;
  }
  if (c === LF) {
    if ((h.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) === 0) return h.fail(ERRORS.valueChar, p, 1);
    h.state = OWS_FOLD;
    return p + 1;
  }
  return lineOfValueBegins(h, p);
}

function lineOfValueBegins(h: Head, p: number): number {
  if (h.valueAt < 0) h.valueAt = p - h.at;
  h.mark = p - h.at;
  h.state = VALUE;
  return valueBegins(h, p) ? p : h.errorAt;
}

function owsCr(h: Head, c: number, p: number): number {
  if (c !== LF && (h.lenient & LENIENT_HEADERS) === 0) return h.fail(ERRORS.lfAfterCr, p, 0);
  h.state = OWS_FOLD;
  return c === LF ? p + 1 : p;
}

/** A line ended before its value began: nothing, or a fold (lenient), follows. */
function owsFold(h: Head, c: number, p: number): number {
  if (c === SP || c === HTAB) {
    if ((h.lenient & LENIENT_HEADERS) === 0) return h.fail(ERRORS.valueChar, p, 1);
    h.state = OWS;
    return p + 1;
  }
  if (!valueMissing(h, p)) return h.errorAt;
  h.addField(h.nameAt, h.nameBytes, h.nameAt + h.nameBytes, 0, h.nameId);
  h.state = FIELD;
  return p;
}

function readValue(h: Head, b: Bytes, p: number, end: number): number {
  p = valueEnds(b, p, end);
  if (!valueGoesOn(h, b, p)) return h.errorAt;
  if (p === end) return p;
  const c = b[p]!;
  const clean = c === CR || c === LF;
  if (!valueStops(h, clean, p)) return h.errorAt;
  if (!clean) {
    if ((h.lenient & LENIENT_HEADERS) === 0) return h.fail(ERRORS.valueChar, p, 0);
    h.state = VALUE_LENIENT;
    return p;
  }
  if (c === LF && (h.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) === 0) return h.fail(ERRORS.crAfterValue, p, 0);
  return lineOfValueEnds(h, c, p);
}

function readLenientValue(h: Head, b: Bytes, p: number, end: number): number {
  while (p < end && b[p] !== CR && b[p] !== LF) p++;
  return p === end ? p : lineOfValueEnds(h, b[p]!, p);
}

function lineOfValueEnds(h: Head, c: number, p: number): number {
  const skip = c === CR ? 1 : 0;
  if (!h.endToken(p, skip)) return h.errorAt;
  h.valueEnd = p - h.at;
  h.state = VALUE_LF;
  return p + skip;
}

function valueFold(h: Head, c: number, p: number): number {
  if (c === SP || c === HTAB) {
    // RFC 9112 §5.2: obs-fold is refused, or read as white space where leniency was asked for.
    if ((h.lenient & LENIENT_HEADERS) === 0) return h.fail(ERRORS.fold, p, 0);
    h.folded = FIELD_FOLDED;
    return lineOfValueBegins(h, p);
  }
  fieldEnds(h);
  const b = h.bytes;
  const valueAt = h.at + h.valueAt;
  let valueEnd = h.at + h.valueEnd;
  while (valueEnd > valueAt && isSpaceOrEnd(b[valueEnd - 1]!)) valueEnd--;
  h.addField(h.nameAt, h.nameBytes, h.valueAt, valueEnd - valueAt, h.nameId | h.folded);
  h.state = FIELD;
  return p;
}

const isSpaceOrEnd = (c: number): boolean => c === SP || c === HTAB || c === CR || c === LF;
