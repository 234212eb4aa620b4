import { createMessage, type Message } from "event-driver";
import fc from "fast-check";

/** Text that a CloudEvents attribute may be: neither empty nor with control characters, lone surrogates or noncharacters. */
export const attributeText: fc.Arbitrary<string> = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
    fc.stringMatching(/^[ -~]{1,20}$/),
    fc.constantFrom("100%", '"quoted"', " both ends ", "Ünïcödé €", "🚀", "%41", "a%20b", "__proto__", "#"),
  )
  .filter((text) => !/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(text));

const time: fc.Arbitrary<string> = fc
  .tuple(
    fc.date({ min: new Date(0), max: new Date("2100-01-01T00:00:00Z"), noInvalidDate: true }),
    fc.stringMatching(/^(\.\d{1,12})?$/),
    fc.constantFrom("Z", "z", "+02:00", "-11:30"),
  )
  .map(([date, fraction, zone]) => date.toISOString().slice(0, 19) + fraction + zone);

/** JSON texts that a parser which writes them anew would change, and some it would not. */
export const jsonText: fc.Arbitrary<string> = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.constantFrom(
    '{"big":12345678901234567890,"small":1e-400,"huge":1e400,"price":1.10,"minus":-0}',
    '{"twice":1,"twice":2}',
    '{"b":1,"a":2,"10":3,"9":4}',
    '{ "spaced" : [ 1 , 2 ] }',
    '{"__proto__":{"x":1},"constructor":null}',
    '"\\ud83d\\ude80 \\/ \\u0041 \\ud800"',
    "null",
    '"text"',
    "0",
  ),
);

/** Content with the type that says what it is. */
const typedContent: fc.Arbitrary<{ readonly content: string | Uint8Array; readonly datacontenttype: string }> = fc.oneof(
  fc.record({
    content: jsonText,
    datacontenttype: fc.constantFrom("application/json", "application/json; charset=utf-8", "application/vnd.order+json", "Text/JSON"),
  }),
  fc.record({
    // White space around JSON is not part of the value.
    content: fc.string({ unit: "binary", minLength: 1 }).filter((text) => text === text.trim()),
    datacontenttype: fc.constantFrom("text/plain", "application/xml", 'text/csv;charset="UTF-8"', "application/json"),
  }),
  fc.record({
    content: fc.uint8Array({ minLength: 0, maxLength: 50 }).map((bytes) => Uint8Array.from(bytes)),
    datacontenttype: fc.constantFrom("application/octet-stream", "image/png", "text/plain; charset=iso-8859-1"),
  }),
  fc.record({ content: fc.constant(""), datacontenttype: fc.constantFrom("application/json", "text/plain", "image/png") }),
);

const extensions: fc.Arbitrary<Record<string, string>> = fc.dictionary(
  fc.stringMatching(/^x[a-z0-9]{1,10}$/),
  fc.oneof(attributeText, fc.constant("")),
  { maxKeys: 4 },
);

/** Messages that a CloudEvent can carry, with everything they may have. */
export const messages: fc.Arbitrary<Message> = fc
  .record({
    id: attributeText,
    key: attributeText,
    source: attributeText,
    origin: fc.option(fc.oneof(attributeText, fc.constantFrom("https://shop.example/orders#event1", "#", "a#")), { nil: undefined }),
    type: attributeText,
    time: fc.option(time, { nil: undefined }),
    subject: fc.option(fc.oneof(attributeText, fc.constant("partition:1#42")), { nil: undefined }),
    partitionkey: fc.option(attributeText, { nil: undefined }),
    dataschema: fc.option(fc.webUrl(), { nil: undefined }),
    extensions,
    data: typedContent,
  })
  .map(({ origin, time: at, subject, partitionkey, dataschema, extensions: others, data: { content, datacontenttype }, ...parts }) =>
    createMessage({
      ...parts,
      // An origin that is the source says nothing more, and does not come back.
      ...(origin !== undefined && origin !== parts.source && { origin }),
      ...(at !== undefined && { time: at }),
      content,
      attributes: {
        ...others,
        datacontenttype,
        ...(subject !== undefined && { subject }),
        ...(partitionkey !== undefined && { partitionkey }),
        ...(dataschema !== undefined && { dataschema }),
      },
    }),
  );
