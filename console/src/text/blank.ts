const BLANK = /^[\p{White_Space}\p{Cc}\p{Cf}]*$/u;

/** Whether a text is blank, by the rule of the service and of the gateway plugin. */
export const isBlank = (text: string): boolean => BLANK.test(text);
