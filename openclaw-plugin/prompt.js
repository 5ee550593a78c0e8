// A gateway interprets some texts in a message as commands. A user's text must reach the agent as text, without other effects.

/** Word joiner: invisible, not white space for the gateway, and part of no path. */
const WORD_JOINER = "\u2060";

// The gateway's session commands, which only an administrator may send. It trims a message first.
const SESSION_COMMAND = /^(\s*)(?=\/(?:new|reset)(?:\s|$))/i;

// Files that the gateway opens and shows to a model with image input, without any tool call: a path or a file URL in the text that
// ends as an image does. It finds a path behind white space, a quote or an opening bracket; here the other brackets count
// too, because the gateway takes markers of its own (`[media attached: …]`) out of the text before it looks. No part of
// these patterns can match what begins the next one, so the longest message is read in one go.
const PATH =
  /(^|[\s"'`()[\]])(?=(?:\.{0,2}\/|~|[a-z]:[\\/])[^\s"'`()[\]]*\.(?:png|jpe?g|gif|webp|bmp|tiff?|hei[cf]))/gi;
const FILE_URL = /(file)(?=:\/\/)/gi;

/**
 * A message as it is passed to the gateway: texts that the gateway would interpret get a word joiner in front, and nothing else is
 * changed. No configuration of the gateway turns either off.
 */
export function asPlainText(message) {
  return message
    .replace(SESSION_COMMAND, `$1${WORD_JOINER}`)
    .replace(FILE_URL, `$1${WORD_JOINER}`)
    .replace(PATH, `$1${WORD_JOINER}`);
}
