import { isAttributeName } from "../event/attribute-rules.ts";
import { contentTypeName, markName, type Protocol } from "./protocol.ts";
import { remembered } from "./remembered.ts";

/** What a header is for that is no attribute, as no attribute can be called. */
export const noPlace = "";
/** What a header is for that claims to be an attribute, and has a name that none can have. */
export const wrongName = "-";

/** What headers are for, by their names: the attribute, {@link markName}, {@link contentTypeName}, {@link noPlace} or {@link wrongName}. */
export function headerNames(protocol: Protocol): (header: string) => string {
  return remembered((header) => placeOf(header, protocol));
}

function placeOf(given: string, protocol: Protocol): string {
  const header = protocol.anyCase ? given.toLowerCase() : given;
  const name = attributeIn(header, protocol);
  if (name !== undefined) return isAttributeName(name) ? name : wrongName;
  if (header === markName) return markName;
  return protocol.contentType !== "field" && header.toLowerCase() === contentTypeName ? contentTypeName : noPlace;
}

/** The attribute that a header is for, if it is for one. */
function attributeIn(header: string, { prefix, otherPrefix }: Protocol): string | undefined {
  if (prefix === "") return isAttributeName(header) ? header : undefined;
  if (header.startsWith(prefix)) return header.slice(prefix.length);
  return otherPrefix !== undefined && header.startsWith(otherPrefix) ? header.slice(otherPrefix.length) : undefined;
}
