/** How much of something is used, as a bar and in words. */
interface Props {
  /** 0 to 100. */
  percent: number;
  label: string;
}

export function Meter({ percent, label }: Props) {
  const width = Math.max(0, Math.min(100, percent));
  return (
    // biome-ignore lint/a11y/useSemanticElements: browsers draw <meter> in colours of their own
    <div
      class="meter"
      role="meter"
      aria-label={label}
      aria-valuenow={Math.round(width)}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <div
        class={width > 90 ? "bar bad" : width > 75 ? "bar warn" : "bar"}
        style={{ width: `${width}%` }}
      />
    </div>
  );
}
