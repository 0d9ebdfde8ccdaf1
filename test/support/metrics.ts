// Numbers that a process shows of itself.

/** One number, whatever its labels; undefined when there is none of that name. */
export async function metricAt(url: string, name: string): Promise<number | undefined> {
  return (await shown(url, name))[0];
}

/** The sum of those whose labels begin with `labels`. */
export async function sumAt(url: string, name: string, labels: string): Promise<number> {
  return (await shown(url, name, `\\{${labels}[^}]*\\}`)).reduce((sum, value) => sum + value, 0);
}

async function shown(url: string, name: string, labels?: string): Promise<number[]> {
  return valuesIn(await (await fetch(`${url}/metrics`)).text(), name, labels);
}

/** Those of one name on a page; `labels` is a pattern. */
export function valuesIn(text: string, name: string, labels = '(?:\\{[^}]*\\})?'): number[] {
  return [...text.matchAll(new RegExp(`^${name}${labels} (\\S+)`, 'gm'))].map(([, value]) => Number(value));
}
