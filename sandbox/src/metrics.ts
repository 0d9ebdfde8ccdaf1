// Counters in Prometheus' text format. Labels come from fixed lists, so their number is bounded.
export interface Metrics {
  count(name: string, labels: Record<string, string>): void;
  text(gauges: Record<string, number>): string;
}

export function createMetrics(): Metrics {
  const counters = new Map<string, number>();
  return {
    count(name, labels) {
      const series = `${name}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(',')}}`;
      counters.set(series, (counters.get(series) ?? 0) + 1);
    },
    text(gauges) {
      const lines: string[] = [];
      let last = '';
      for (const [series, value] of [...counters].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const name = series.slice(0, series.indexOf('{'));
        if (name !== last) lines.push(`# TYPE ${name} counter`);
        last = name;
        lines.push(`${series} ${value}`);
      }
      for (const [name, value] of Object.entries(gauges)) lines.push(`# TYPE ${name} gauge`, `${name} ${value}`);
      return `${lines.join('\n')}\n`;
    },
  };
}
