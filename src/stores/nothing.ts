/**
 * @internal The answer to a look-up that finds nothing, from a store that knows so at once. Whoever is given this very promise need not wait for it, which
 * takes as long as the look-up.
 */
export const nothing: Promise<undefined> = Promise.resolve(undefined);
