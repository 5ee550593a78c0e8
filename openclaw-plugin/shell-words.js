// How a shell, or a tool that expands text like one, may read a text: without its quotes, word by word, and with other
// text in place of variables. That text is not known here.

// A rate (`$5/month`) and a fraction (`~1/2`) resemble a parameter or a folder of the shell's directory stack.
const UNIT =
  "(?:(?:second|sec|minute|min|hour|hr|day|week|month|mo|year|yr|user|seat|person|night|unit|item|piece|kg|lb|gb|mb|token|call" +
  "|request)s?|\\d+)";
const NO_RATE = `(?!${UNIT}(?:[\\\\/]${UNIT})*(?:$|[\\s.,;:!?)'"]))`;
const VARIABLE = `\\$(?:(?:env:)?[a-z_]\\w{0,99}|[@*]|\\d+(?=[\\\\/]${NO_RATE})|\\{[^}]{0,99}\\}|\\([^)]{0,99}\\))|%\\w{1,64}%`;
const HOME = `~(?:[a-z_+-][\\w.-]{0,64}|\\d+(?=[\\\\/]${NO_RATE}))`;
// Behind another word the lengths are bounded, so that the time is linear in the length of the text.
const EXPANDED = new RegExp(`(?<=^|[\\s=,;|&<>():\`@[{]|(?:^|\\s)--?\\w)(?:(?:${VARIABLE})+|${HOME})[\\\\/]`, "i");
const LONG = /^(?:\$(?:(?:env:)?[a-z_]\w*|\{[^}]*\}|\([^)]*\))|%\w+%|~[a-z_+-][\w.-]*)[\\/]/i;
const OWN_VARIABLE = /[$%]\{?(?:env:)?openclaw_\w/i;
const ESCAPED = /\$'[^']{0,999}\\/;

/** Whether a text has a path that begins with an expansion, a variable of OpenClaw's own, or a word in escapes. */
export const isExpanded = (text) => [EXPANDED, LONG, OWN_VARIABLE, ESCAPED].some((pattern) => pattern.test(text));

/** A text unchanged, without its quotes, and without its quotes and backslashes. */
export function unquoted(text) {
  const bare = text.replace(/\$(?=["'])|["']/g, "");
  return [...new Set([text, bare, bare.replaceAll("\\", "")])];
}

const PATH_ENDS = /[\s=,;|&<>()`{}[\]?!*]+|:(?=[\\/](?![\\/]))/;
const OPTION = /^(?:-+[\w-]*)?@?/;

/** The words of a text that may be paths: with a slash in them, and without the name of an option before them. */
export const pathWords = (text) =>
  [...new Set(text.split(PATH_ENDS))].filter((word) => /[\\/]/.test(word)).map((word) => word.replace(OPTION, ""));

const ADDRESS_ENDS = /[\s=,;|&<>()`{}]+/;

/** The words of a text that may be addresses without a scheme. */
export const addressWords = (text) => [...new Set(text.split(ADDRESS_ENDS))].filter((word) => /[.:]/.test(word));
