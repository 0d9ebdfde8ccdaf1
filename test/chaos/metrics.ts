/** A number that a process shows of itself, whatever its labels; undefined when it shows none of that name. */
export async function metricAt(url: string, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const shown = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1];
  return shown === undefined ? undefined : Number(shown);
}
