const nested = (levels) => (levels === 0 ? "deep" : [nested(levels - 1)]);

const DETAILS = {
  half: () => ({ nickname: "half \ud83d", "\udc00 as a name": [1] }),
  deepest: () => nested(63),
  too_deep: () => nested(64),
  poison: () => ({ a: { "$serde_json::private::RawValue": "{}" } }),
  proto: () => JSON.parse('{"__proto__": {"a": 1}}'),
  long: () => "a".repeat(100_000),
};

/** Returns what JavaScript can write as JSON and other readers refuse, or take for something else. */
export const oddTool = {
  name: "odd_result",
  description: "Returns an odd result.",
  parameters: { type: "object", properties: { kind: { type: "string" }, fails: { type: "boolean" } } },
  execute: async (_toolCallId, { kind, fails = false }) =>
    ({ content: [{ type: "text", text: kind }], details: DETAILS[kind](), ...(fails && { isError: true }) }),
};
