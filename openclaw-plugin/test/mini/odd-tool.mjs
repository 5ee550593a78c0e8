const nested = (levels) => (levels === 0 ? "deep" : [nested(levels - 1)]);

const DETAILS = {
  half: () => ({ nickname: "half \ud83d", "\udc00 as a name": [1] }),
  deepest: () => nested(63),
  too_deep: () => nested(64),
  poison: () => ({ a: { "$serde_json::private::RawValue": "{}" } }),
  proto: () => JSON.parse('{"__proto__": {"a": 1}}'),
  long: () => "a".repeat(100_000),
  huge: () => "a".repeat(5_000_000),
  sized: (bytes) => "a".repeat(bytes - Buffer.byteLength(JSON.stringify(resultOf("sized", "")))),
};

const resultOf = (kind, details) => ({ content: [{ type: "text", text: kind }], details });

/** Returns what JavaScript can write as JSON and other readers refuse, or take for something else. */
export const oddTool = {
  name: "odd_result",
  description: "Returns an odd result.",
  parameters: { type: "object", properties: { kind: { type: "string" }, bytes: { type: "integer" }, fails: { type: "boolean" } } },
  execute: async (_toolCallId, { kind, bytes, fails = false }) =>
    ({ ...resultOf(kind, DETAILS[kind](bytes)), ...(fails && { isError: true }) }),
};
