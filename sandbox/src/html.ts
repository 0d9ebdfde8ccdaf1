// HTML without injection: every value put into the template is escaped, unless it is HTML already.
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export function html(strings: TemplateStringsArray, ...values: (string | number | Html)[]): Html {
  return new Html(strings.reduce((text, string, i) => text + asHtml(values[i - 1] ?? '') + string));
}

const asHtml = (value: string | number | Html) => (value instanceof Html ? value.text : escape(String(value)));

const escape = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
