/** A plot over time that goes back an hour. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { isDark } from "../state/theme.ts";

export interface Line {
  name: string;
  /** A custom property of the style, such as `--plot-1`. */
  colour: string;
}

interface Props {
  title: string;
  /** For who cannot see it. */
  summary: string;
  lines: Line[];
  /** Times in seconds, then the values of each line. */
  data: (number | null)[][];
  format: (value: number) => string;
  max?: number;
}

const HEIGHT = 150;
/** Of bytes a second; less looks like nothing. */
const LEAST = 1024;
/** Of two, as bytes are counted. */
const POWERS = Array.from({ length: 50 }, (_, i) => 2 ** i);
const HOUR_SECONDS = 3600;
const LEAST_SECONDS = 300;

/** From the first value on, at most the last hour, at least a few minutes. */
function shown(first: number | null): [number, number] {
  const now = Date.now() / 1000;
  return [Math.min(now - LEAST_SECONDS, Math.max(now - HOUR_SECONDS, first ?? now)), now];
}

function options(width: number, { lines, format, max }: Props): uPlot.Options {
  const colour = (name: string) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--text-soft"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { time: true, range: (_plot, first) => shown(first) },
      y: {
        range: (_plot, _least, greatest) => [0, max ?? Math.max(LEAST, greatest * 1.1)],
      },
    },
    axes: [
      { ...axis, size: 24, space: 70, values: "{HH}:{mm}" },
      {
        ...{ ...axis, size: 70, space: 36, incrs: max === undefined ? POWERS : [25, 50, 100] },
        values: (_plot, values) => values.map((one) => format(one)),
      },
    ],
    series: [
      {},
      ...lines.map(({ name, colour: own }) => ({
        label: name,
        stroke: colour(own),
        width: 1.5,
        fill: `${colour(own)}22`,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

export function Plot(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const dark = isDark.value;
  useEffect(() => {
    const element = place.current as HTMLDivElement;
    const { data } = latest.current;
    plot.current = new uPlot(
      options(element.clientWidth, latest.current),
      data as uPlot.AlignedData,
      element,
    );
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.current?.destroy();
    };
  }, [dark]);
  useEffect(() => plot.current?.setData(props.data as uPlot.AlignedData), [props.data]);
  return (
    <figure class="plot">
      <figcaption>
        <span class="plot-title">{props.title}</span>
        <span class="plot-legend">
          {props.lines.map(({ name, colour }) => (
            <span key={name}>
              <i class={`swatch ${colour.slice(2)}`} aria-hidden="true" />
              {name}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={place} role="img" aria-label={`${props.title}, the last hour: ${props.summary}`} />
    </figure>
  );
}
