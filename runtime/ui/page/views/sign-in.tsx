/** Asks for a token once. It goes to the server, and no script can read it afterwards. */
import { useState } from "preact/hooks";
import { Field } from "../parts/field.tsx";
import { messageOf } from "../state/client.ts";
import { signIn } from "../state/who.ts";

export function SignIn() {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    await signIn(token).catch((why) => setError(messageOf(why)));
    setBusy(false);
  };
  return (
    <main class="alone">
      <form class="card sign-in" onSubmit={submit}>
        <h1>Sign in</h1>
        <p>
          Paste a token of this server. <code>hypersdk token create NAME --role read</code> makes
          one.
        </p>
        <Field label="Token" type="password" value={token} onInput={setToken} isRequired isFirst />
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" class="primary" disabled={isBusy || token.trim() === ""}>
          Sign in
        </button>
      </form>
    </main>
  );
}
