import { isAttributeName } from "../event/attribute-rules.ts";
import { contentTypeName, markName, type Protocol } from "./protocol.ts";

/** What a header is for that is no attribute, as no attribute can be called. */
export const noPlace = "";
/** What a header is for that claims to be an attribute, and has a name that none can have. */
export const wrongName = "-";

/** So many names are remembered. */
const most = 256;

/**
 * What headers are for, by their names: the attribute, {@link markName}, {@link contentTypeName}, {@link noPlace} or {@link wrongName}.
 *
 * The same few names come with every record, so each of them is looked at once.
 */
export function headerNames(protocol: Protocol): (header: string) => string {
  const known = new Map<string, string>();

  return (header) => {
    const place = known.get(header);
    if (place !== undefined) return place;
    const found = placeOf(header, protocol);
    if (known.size < most) known.set(header, found);
    return found;
  };
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
