/** The whole page: who uses it, where they are, and the view that they see. */
import { useEffect } from "preact/hooks";
import { ActiveJobs } from "./parts/active-jobs.tsx";
import { NoticeList } from "./parts/notice-list.tsx";
import { Sidebar } from "./parts/sidebar.tsx";
import { dialog } from "./state/dialog.ts";
import { forgetFleet } from "./state/fleet.ts";
import { followJobs } from "./state/jobs.ts";
import { isLost } from "./state/lost.ts";
import { route } from "./state/route.ts";
import { can, trouble, who } from "./state/who.ts";
import { SignIn } from "./views/sign-in.tsx";
import { View } from "./views/view.tsx";

export function App() {
  if (who.value) return <SignedIn />;
  if (who.value === null) return <SignIn />;
  return (
    <main class="alone">
      {trouble.value ? <p role="alert">{trouble.value}</p> : <p class="empty">Loading …</p>}
    </main>
  );
}

function SignedIn() {
  useEffect(() => forgetFleet, []);
  useEffect(() => (can("/jobs/watch") ? followJobs() : undefined), []);
  const { view, parts } = route.value;
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <Sidebar />
      <main id="main" tabIndex={-1}>
        <Lost />
        <View key={[view, ...parts].join("/")} view={view} parts={parts} />
      </main>
      <div class="corner">
        <NoticeList />
        <ActiveJobs />
      </div>
      {dialog.value}
    </div>
  );
}

/** Above every view. It is there before it says something, so that screen readers say it. */
function Lost() {
  return (
    <div role="status">
      {isLost.value && (
        <p class="problem">
          The connection to the server is lost; what you see may be old. Connecting again …
        </p>
      )}
    </div>
  );
}
