// A gateway takes some texts in a message for orders. What a user typed must reach the agent as text, and do nothing else.

/** Invisible, no white space to the gateway, no part of any path. */
const WORD_JOINER = "\u2060";

// The gateway's own word for a session command, which only an administrator may give. It trims a message first.
const SESSION_COMMAND = /^(\s*)(?=\/(?:new|reset)(?:\s|$))/i;

// Files that the gateway opens and shows to a model that sees, without any tool call: a path or a file URL in the text that
// ends as an image does. It finds a path behind white space, a quote or an opening bracket; here the other brackets count
// too, because the gateway takes markers of its own (`[media attached: …]`) out of the text before it looks. No part of
// these patterns can match what begins the next one, so the longest message is read in one go.
const PATH =
  /(^|[\s"'`()[\]])(?=(?:\.{0,2}\/|~|[a-z]:[\\/])[^\s"'`()[\]]*\.(?:png|jpe?g|gif|webp|bmp|tiff?|hei[cf]))/gi;
const FILE_URL = /(file)(?=:\/\/)/gi;

/**
 * A message as it is given to the gateway: what the gateway would act upon gets a word joiner in front, and nothing else is
 * changed. No configuration of the gateway turns either off.
 */
export function asPlainText(message) {
  return message
    .replace(SESSION_COMMAND, `$1${WORD_JOINER}`)
    .replace(FILE_URL, `$1${WORD_JOINER}`)
    .replace(PATH, `$1${WORD_JOINER}`);
}
