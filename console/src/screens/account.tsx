import { useState } from "preact/hooks";
import { Problem } from "../api/problem.ts";
import { now } from "../live/clock.ts";
import { LANGUAGES, language, shortcuts, THEMES, theme } from "../style/preferences.ts";
import { announce } from "../parts/announce.tsx";
import { Code, Head } from "../parts/basics.tsx";
import { ProblemNote } from "../parts/problem-note.tsx";
import { current, setMe, signOut } from "../session/session.ts";
import { duration, visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";
import { ShortcutList } from "../parts/shortcuts.tsx";

export function Account() {
  const { me, endsAt } = current();
  return (
    <>
      <Head title={t("account.title")} />
      <div class="columns">
        <section class="card">
          <h2>{t("account.you")}</h2>
          <dl class="pairs">
            {me.name && <div><dt>{t("account.name")}</dt><dd><bdi>{visible(me.name)}</bdi></dd></div>}
            <div><dt>{t("account.id")}</dt><dd><Code text={me.operator_id} length={36} /></dd></div>
            <div><dt>{t("account.roles")}</dt><dd>{me.roles.map((role) => named("role_name", visible(role))).join(", ") || "–"}</dd></div>
            <div><dt>{t("account.may")}</dt><dd>{(["view", "decide", "administer"] as const).filter((one) => me.may[one]).map((one) => t(`may.${one}`)).join(", ")}</dd></div>
            {endsAt !== undefined && <div><dt>{t("account.ends")}</dt><dd>{endsAt > now.value ? duration(endsAt - now.value) : t("account.ended")}</dd></div>}
          </dl>
          <p><button type="button" onClick={() => signOut()}>{t("account.sign_out")}</button></p>
        </section>
        <OwnUsers />
        <section class="card">
          <h2>{t("account.preferences")}</h2>
          <fieldset class="choice inline">
            <legend>{t("account.language")}</legend>
            {LANGUAGES.map((one) => (
              <label key={one}><input type="radio" name="language" checked={language.value === one} onChange={() => { language.value = one; }} /><span lang={one}>{one === "en" ? "English" : "中文"}</span></label>
            ))}
          </fieldset>
          <fieldset class="choice inline">
            <legend>{t("account.theme")}</legend>
            {THEMES.map((one) => (
              <label key={one}><input type="radio" name="theme" checked={theme.value === one} onChange={() => { theme.value = one; }} /><span>{t(`theme.${one}`)}</span></label>
            ))}
          </fieldset>
        </section>
        <section class="card">
          <h2>{t("keys.title")}</h2>
          <label class="check"><input type="checkbox" checked={shortcuts.value} onChange={(event) => { shortcuts.value = event.currentTarget.checked; }} /><span>{t("keys.on")}</span></label>
          <ShortcutList />
        </section>
      </div>
    </>
  );
}

/** The operator's own user ids. The service refuses their decisions about requests of these users. */
function OwnUsers() {
  const { api, me } = current();
  const [user, setUser] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const add = async (event: Event) => {
    event.preventDefault();
    setProblem(undefined);
    try {
      setMe(await api.addUser(user.trim()));
      setUser("");
      announce(t("account.added_said"));
    } catch (thrown) {
      setProblem(Problem.from(thrown));
    }
  };
  return (
    <section class="card">
      <h2>{t("account.users")}</h2>
      <p class="lead">{t("account.users_lead")}</p>
      {me.user_ids.length > 0 && <ul class="plain">{me.user_ids.map((one) => <li key={one}><Code text={one} length={36} /></li>)}</ul>}
      <form class="row" onSubmit={add}>
        <label class="field"><span>{t("field.user")}</span>
          <input value={user} required autocomplete="off" spellcheck={false} onInput={(event) => setUser(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={user.trim() === ""}>{t("account.add")}</button>
      </form>
      {problem && <ProblemNote problem={problem} />}
    </section>
  );
}
