import {
  IdempotencyItemAlreadyExistsError,
  IdempotencyItemNotFoundError,
  IdempotencyRecordStatus,
} from "@aws-lambda-powertools/idempotency";
import { BasePersistenceLayer } from "@aws-lambda-powertools/idempotency/persistence";

type Saved = Awaited<ReturnType<BasePersistenceLayer["getRecord"]>>;

/**
 * A persistence layer for Powertools that keeps its records in a map, by the rules of its layer for DynamoDB: a record may be put where there is
 * none, where the one there has expired, or where its owner ran out of time.
 *
 * It keeps the very objects that it is given, which is less than our memory store does, that copies.
 */
export class PowertoolsMemoryLayer extends BasePersistenceLayer {
  readonly #records = new Map<string, Saved>();

  protected async _putRecord(record: Saved): Promise<void> {
    const existing = this.#records.get(record.idempotencyKey);
    if (existing !== undefined && !existing.isExpired() && !isAbandoned(existing)) {
      throw new IdempotencyItemAlreadyExistsError(`there is a record for ${record.idempotencyKey}`, existing);
    }
    this.#records.set(record.idempotencyKey, record);
  }

  protected async _getRecord(key: string): Promise<Saved> {
    const record = this.#records.get(key);
    if (record === undefined) throw new IdempotencyItemNotFoundError(`there is no record for ${key}`);
    return record;
  }

  protected async _updateRecord(record: Saved): Promise<void> {
    this.#records.set(record.idempotencyKey, record);
  }

  protected async _deleteRecord(record: Saved): Promise<void> {
    this.#records.delete(record.idempotencyKey);
  }
}

function isAbandoned(record: Saved): boolean {
  const { inProgressExpiryTimestamp } = record;
  const inProgress = record.getStatus() === IdempotencyRecordStatus.INPROGRESS;
  return inProgress && inProgressExpiryTimestamp !== undefined && inProgressExpiryTimestamp < Date.now();
}
