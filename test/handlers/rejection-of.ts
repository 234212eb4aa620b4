/** What a promise is rejected with. Call it before the clock moves on, so that nothing is rejected unheard. */
export function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => Promise.reject(new Error("it was to be rejected, but it resolved")),
    (reason: unknown) => reason,
  );
}
