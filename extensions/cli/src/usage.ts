/** The program was asked for something that makes no sense. Its message says what to write instead. */
export class Usage extends Error {}
