const BLANK = /^[\p{White_Space}\p{Cc}\p{Cf}]*$/u;

/** Whether nothing of a text can be seen: the rule of the service and of the gateway plugin. */
export const isBlank = (text: string): boolean => BLANK.test(text);
