/** Where what a batch of records begins with stands in it, in message format 2. */
export const places = {
  firstOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  checksum: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  firstSequence: 53,
  count: 57,
  records: 61,
};

/** The length of a batch does not count the bytes up to it. */
export const uncounted = 12;

export const bits = { compression: 0b111, appendTime: 0b1000, transactional: 0b1_0000, control: 0b10_0000 };
