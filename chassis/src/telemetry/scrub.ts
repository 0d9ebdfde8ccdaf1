// Takes secrets and personal data out of text that other people's code wrote: error messages, stacks.
/** Long enough to hold a card number. */
const DIGITS = /\b\d(?:[ -]?\d){13,}\b/g;
const CARD_DIGITS = { least: 14, most: 19 };
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
  return text.replace(DIGITS, hideWithin);
}

// A number may stand before or behind another one: "order 7 4242 4242 4242 4242".
function hideWithin(digits: string): string {
  const parts = digits.split(/([ -])/);
  let clean = '';
  for (let from = 0; from < parts.length;) {
    const to = endOfCard(parts, from);
    clean += `${to < 0 ? parts[from] : '[card]'}${parts[Math.max(from, to) + 1] ?? ''}`;
    from = Math.max(from, to) + 2;
  }
  return clean;
}

/** The last group of the longest card number that begins with this group; -1 when none does. */
function endOfCard(parts: string[], from: number): number {
  let digits = '';
  let end = -1;
  for (let to = from; to < parts.length && digits.length <= CARD_DIGITS.most; to += 2) {
    digits += parts[to];
    if (digits.length >= CARD_DIGITS.least && digits.length <= CARD_DIGITS.most && looksLikeCard(digits)) end = to;
  }
  return end;
}

// Luhn's sum tells card numbers from the many other long numbers.
function looksLikeCard(text: string): boolean {
  const digits = text.split('').reverse().map(Number);
  const sum = digits.reduce((total, digit, place) => total + (place % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2), 0);
  return sum % 10 === 0;
}
