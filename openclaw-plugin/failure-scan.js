const [QUOTE, BACKSLASH, COLON, COMMA] = Buffer.from('"\\:,');
const [CURLY, CURLY_END, SQUARE, SQUARE_END] = Buffer.from("{}[]");
// A longer name or value cannot be one that is searched for.
const TOKEN_CAP = 16;

/**
 * Finds whether a tool reports a failure (`{"result": {"isError": true}}`) in an answer that is too long to be kept, in
 * constant memory. The gateway writes its answers with JSON.stringify: a name stands once and without escapes.
 */
export class FailureScan {
  hasFailed = false;
  /** Whether the bytes so far are one whole object. */
  isComplete = false;
  #depth = 0;
  #isBroken = false;
  #inString = false;
  #isEscaped = false;
  /** The name or value being read, unparsed. */
  #token = "";
  /** The last name at depth 1 and at depth 2. */
  #names = ["", "", ""];
  /** Whether the value below `result` is an object. */
  #isObject = false;

  push(bytes) {
    for (const byte of bytes) {
      if (this.#inString) this.#readString(byte);
      else if (byte > 0x20) this.#read(byte);
    }
  }

  #readString(byte) {
    this.#keep(byte);
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  #read(byte) {
    if (this.isComplete || (this.#depth === 0 && byte !== CURLY)) this.#isBroken = true;
    this.isComplete = false;
    if (byte === QUOTE) this.#inString = true;
    if (byte === COLON) this.#nameEnds();
    else if (byte === COMMA) this.#valueEnds();
    else if (byte === CURLY || byte === SQUARE) this.#open(byte);
    else if (byte === CURLY_END || byte === SQUARE_END) this.#close();
    else this.#keep(byte);
  }

  #keep(byte) {
    if (this.#token.length < TOKEN_CAP) this.#token += String.fromCharCode(byte);
  }

  #nameEnds() {
    if (this.#depth <= 2) this.#names[this.#depth] = this.#token;
    this.#token = "";
  }

  #valueEnds() {
    const isOwn = this.#depth === 2 && this.#isObject && this.#names[1] === '"result"' && this.#names[2] === '"isError"';
    if (isOwn && this.#token === "true") this.hasFailed = true;
    this.#token = "";
  }

  #open(byte) {
    this.#token = "";
    this.#depth += 1;
    if (this.#depth !== 2) return;
    this.#isObject = byte === CURLY;
    this.#names[2] = "";
  }

  #close() {
    this.#valueEnds();
    this.#depth -= 1;
    this.isComplete = this.#depth === 0 && !this.#isBroken;
  }
}
