// Takes secrets and personal data out of text that other people's code wrote: error messages, stacks.
const CARD = /\b\d(?:[ -]?\d){13,18}\b/g;
const PATTERNS: [RegExp, string][] = [
  [/\b(?:sk|rk|pk)_(?:test|live)_\w+/g, '[key]'],
  [/\bwhsec_\w+/g, '[secret]'],
  [/\b(pi_\w+?)_secret_\w+/g, '$1_[secret]'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '[token]'],
  [/\b(Bearer|Basic) +[^\s"',]+/gi, '$1 [token]'],
  [/(\w+:\/\/[^\s:/@]*):[^\s/@]+@/g, '$1:[password]@'],
  [/[^\s"'(<[,;:=/\]]+@[\w-]+(?:\.[\w-]+)+/g, '[email]'],
];
// What none of the patterns can be without: spares the usual short message eight searches.
const WORTH_A_LOOK = /@|_secret_|[srp]k_|whsec|eyJ|bearer|basic|\d{4}[ -]?\d{2}/i;
// A longer text is cut: the patterns are linear, but a megabyte of message helps nobody.
const MAX_CHARS = 8_192;

export function scrub(text: string): string {
  const short = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
  if (!WORTH_A_LOOK.test(short)) return short;
  return hideCards(PATTERNS.reduce((clean, [pattern, instead]) => clean.replace(pattern, instead), short));
}

/** For what people type: card numbers alone. */
export function hideCards(text: string): string {
  return text.replace(CARD, (digits) => (looksLikeCard(digits) ? '[card]' : digits));
}

// Luhn's sum tells card numbers from the many other long numbers.
function looksLikeCard(text: string): boolean {
  const digits = text.replaceAll(/\D/g, '').split('').reverse().map(Number);
  const sum = digits.reduce((total, digit, place) => total + (place % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2), 0);
  return sum % 10 === 0;
}
