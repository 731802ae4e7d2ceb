/** What has happened: screen readers say it, and it stands in a corner. */
import { dismiss, type Notice, notices } from "../state/notices.ts";

export function NoticeList() {
  const of = (kind: Notice["kind"]) =>
    notices.value
      .filter((one) => one.kind === kind)
      .map(({ id, text }) => (
        <div key={id} class={`notice ${kind}`}>
          <p>{text}</p>
          <button type="button" aria-label={`Dismiss: ${text}`} onClick={() => dismiss(id)}>
            ×
          </button>
        </div>
      ));
  return (
    <div class="notices">
      <div role="status" aria-live="polite">
        {of("done")}
      </div>
      <div role="alert" aria-live="assertive">
        {of("error")}
      </div>
    </div>
  );
}
