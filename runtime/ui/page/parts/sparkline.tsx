/** A small plot of percents, one value a minute; gaps where nobody has looked. */
interface Props {
  values: (number | null)[];
}

const HEIGHT = 20;

export function Sparkline({ values }: Props) {
  const width = values.length;
  const y = (value: number) =>
    (HEIGHT - 1 - (Math.min(100, value) / 100) * (HEIGHT - 2)).toFixed(1);
  let path = "";
  values.forEach((value, x) => {
    if (value === null) return;
    const before = values[x - 1];
    path += before === null || before === undefined ? `M${x} ${y(value)}h.9` : `L${x} ${y(value)}`;
  });
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={path} />
    </svg>
  );
}
