// What a model wrote, as markdown that can only be text with formatting: paragraphs, headings, lists, quotes, code, strong, em.
//
// TDesign's chat-markdown loads images in its text. By prompt injection a model could thus send data
// to another server, inside the address of an image. So every image, link, table, footnote and HTML tag becomes the
// text that it was written as. test/unit/markdown.test.ts holds this against the parser that chat-markdown uses.

/** Longer replies are cut here: one `setData` takes 1 MB, and a page with more text stutters. */
const LONGEST = 60_000;
const INLINE = /(`+)([^`\n]+?)\1(?!`)|(\*\*|__)(?=\S)([^*_\n]+?)\3|(\*)(?=\S)([^*_\n]+?)\5/g;

export function safeMarkdown(text: string): string {
  const lines = text.slice(0, LONGEST).replace(/\r\n?/g, "\n").split("\n");
  const out: string[] = [];
  let fence: string | undefined;
  for (const line of lines) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark && mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) fence = undefined;
      // Within code nothing is markup, except what would end it: backticks with less than four spaces before them.
      else out.push(line.replace(/^ {0,3}(?=`{3,})/, "    "));
      if (fence === undefined) out.push("````");
    } else if (mark) {
      fence = mark;
      out.push("````");
    } else out.push(block(line));
  }
  if (fence !== undefined) out.push("````");
  return out.join("\n");
}

/** One line outside of code. Indentation would make code of it, or nest what is harmless alone: it is kept short. */
function block(line: string): string {
  const body = line.trim();
  const indent = /^(\t| {2,})/.test(line) ? "  " : "";
  const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(body);
  if (heading) return `${heading[1]} ${inline(heading[2]!)}`;
  const quote = /^>\s?(.*)$/.exec(body);
  if (quote) return `> ${inline(quote[1]!.trim())}`;
  const bullet = /^[-*+]\s+(.+)$/.exec(body);
  if (bullet) return `${indent}- ${inline(bullet[1]!)}`;
  const numbered = /^(\d{1,6})[.)]\s+(.+)$/.exec(body);
  if (numbered) return `${indent}${numbered[1]}. ${inline(numbered[2]!)}`;
  return inline(body);
}

function inline(text: string): string {
  let out = "";
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    const [all, , code, , strong, , em] = found;
    out += escape(text.slice(from, found.index));
    if (code !== undefined) out += `\`${code}\``;
    else if (strong !== undefined) out += `**${escape(strong.trim())}**`;
    else out += `*${escape(em!.trim())}*`;
    from = found.index + all.length;
  }
  return out + escape(text.slice(from));
}

/** Takes the meaning of every mark that could begin something. Letters, digits and what is not ASCII never begin markup. */
function escape(text: string): string {
  return text
    .replace(/[\\`*_{}[\]()#+\-!|<>~&=@$^"']/g, "\\$&")
    // Addresses in plain text become links by themselves in GitHub's markdown.
    .replace(/:(?=\/\/)/g, "\\:")
    .replace(/www\./gi, (found) => `${found.slice(0, 3)}\\.`)
    .replace(/^(\s*\d+)([.)])/, "$1\\$2");
}
