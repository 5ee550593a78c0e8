import { useEffect, useState } from "preact/hooks";
import { Problem } from "../api/problem.ts";
import { ProblemNote } from "../parts/problem-note.tsx";
import { PreferenceSwitches } from "../parts/preference-switches.tsx";
import { config, ended, isReturning, signIn } from "../session/session.ts";
import { t } from "../text/text.ts";

export function SignIn() {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(isReturning());
  const [problem, setProblem] = useState<Problem>();
  const { issuer, client_id: client, token_hint: hint } = config.value;
  const sso = issuer !== undefined && client !== undefined;

  const attempt = async (what: () => Promise<void>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      await what();
    } catch (thrown) {
      setProblem(Problem.from(thrown));
      setBusy(false);
    }
  };
  useEffect(() => {
    if (isReturning()) {
      void attempt(async () => {
        if (!sso) throw new Problem("sign_in_not_begun", 0);
        const { finish } = await import("../session/oidc.ts");
        await signIn(await finish(issuer, client));
      });
    }
  }, []);

  return (
    <main id="main" class="sign-in" tabindex={-1}>
      <div class="card">
        <div class="brand"><img src="/console/favicon.svg" alt="" width="36" height="36" /><h1>{t("app.name")}</h1></div>
        {ended.value && !problem && <ProblemNote problem={ended.value} />}
        {sso && (
          <>
            <button type="button" class="main plain" disabled={busy} onClick={() => void attempt(async () => (await import("../session/oidc.ts")).begin(issuer, client))}>
              {busy ? t("dialog.busy") : t("sign_in.sso")}
            </button>
            <p class="or"><span>{t("sign_in.or")}</span></p>
          </>
        )}
        <form onSubmit={(event) => { event.preventDefault(); void attempt(() => signIn(token.replace(/\s+/g, ""))); }}>
          <label class="field">
            <span>{t("sign_in.token")}</span>
            <input type="password" name="token" autocomplete="off" spellcheck={false} value={token} required autofocus={!sso}
              onInput={(event) => setToken(event.currentTarget.value)} />
            {hint && <small>{t("sign_in.hint")} <code>local operator token --role approver</code></small>}
          </label>
          {problem && <ProblemNote problem={problem} />}
          <button type="submit" class={sso ? "wide" : "main plain wide"} disabled={busy || token.trim() === ""}>{busy ? t("dialog.busy") : t("sign_in.do")}</button>
        </form>
        <p class="hint">{t("sign_in.memory")}</p>
      </div>
      <div class="preferences"><PreferenceSwitches /></div>
    </main>
  );
}
