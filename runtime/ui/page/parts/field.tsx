/** A field of a form with its label, and what it is for. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Props {
  label: string;
  hint?: string;
  value: string;
  onInput: (value: string) => void;
  type?: "text" | "number" | "password";
  isRequired?: boolean;
  isFirst?: boolean;
  min?: number;
}

export function Field({
  label,
  hint,
  value,
  onInput,
  type = "text",
  isRequired,
  isFirst,
  min,
}: Props) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={type as "text"}
        value={value}
        min={min}
        required={isRequired}
        // biome-ignore lint/a11y/noAutofocus: the first field of a dialogue, or of the only form
        autoFocus={isFirst}
        autocomplete="off"
        spellcheck={false}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface CheckProps {
  label: ComponentChildren;
  checked: boolean;
  onChange: (checked: boolean) => void;
}

export function Check({ label, checked, onChange }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        onChange={({ currentTarget }) => onChange(currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: readonly (string | [value: string, text: string])[];
  onChange: (value: string) => void;
}

export function Select({ label, value, options, onChange }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
        {options.map((option) => {
          const [one, text] = typeof option === "string" ? [option, option] : option;
          return (
            <option key={one} value={one} selected={one === value}>
              {text}
            </option>
          );
        })}
      </select>
    </div>
  );
}
