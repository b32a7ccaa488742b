/** What comes of a chunked body of 5 and 6 bytes that is cut at each of its boundaries, the end of the head among them. */
export const CUT_BYTES: readonly number[] = [0, 0, 5, 5, 5, 11, 11, 11];
