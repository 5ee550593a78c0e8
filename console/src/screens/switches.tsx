import { useState } from "preact/hooks";
import { MODES, type Controls, type Mode, type ToolControl } from "../api/shapes.ts";
import { now } from "../live/clock.ts";
import { announce } from "../parts/announce.tsx";
import { EffectBadge, Head, ModeBadge, Moment, MODE_TONES, RoleNote, who } from "../parts/basics.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Loaded, Staleness } from "../parts/staleness.tsx";
import { current, may } from "../session/session.ts";
import { countdown, duration, visible } from "../text/format.ts";
import { named, t } from "../text/text.ts";

type Asking = { what: "mode"; mode: Mode } | { what: "tool"; tool: ToolControl } | { what: "opening"; tool: ToolControl };

export function Switches() {
  const live = current().controls;
  const [asking, setAsking] = useState<Asking>();
  return (
    <>
      <Head title={t("switches.title")} lead={t("switches.lead")}><Staleness live={live} /></Head>
      {!may.value.administer && <RoleNote needs="admin" />}
      <Loaded live={live}>
        {(controls) => (
          <>
            <ServiceModes controls={controls} onAsk={(mode) => setAsking({ what: "mode", mode })} />
            <Proof controls={controls} />
            <h2>{t("switches.tools")}</h2>
            <Tools controls={controls} onAsk={setAsking} />
          </>
        )}
      </Loaded>
      {asking?.what === "mode" && <ConfirmMode mode={asking.mode} onClose={() => setAsking(undefined)} />}
      {asking?.what === "tool" && <ConfirmTool tool={asking.tool} onClose={() => setAsking(undefined)} />}
      {asking?.what === "opening" && <ConfirmOpening tool={asking.tool} onClose={() => setAsking(undefined)} />}
    </>
  );
}

function By({ by, at, reason }: { by: string | undefined; at: string | undefined; reason: string | undefined }) {
  return (
    <>
      {reason && <q class="reason"><bdi>{visible(reason)}</bdi></q>}
      {by && <small title={visible(by)}> {who(by)}</small>}
      {at && <small> · <Moment at={at} /></small>}
    </>
  );
}

/** The four service modes, from `full` to `closed`. */
function ServiceModes({ controls, onAsk }: { controls: Controls; onAsk: (mode: Mode) => void }) {
  const { service } = controls;
  return (
    <section class="card" aria-label={t("switches.service")}>
      <h2>{t("switches.service")}</h2>
      <div class="service-modes" role="group" aria-label={t("switches.service")}>
        {MODES.map((mode) => {
          const current = mode === service.mode;
          const inside = (
            <>
              <strong>{named("mode", mode)}{current && <Icon name="check" size={16} />}</strong>
              <span>{t(`mode_hint.${mode}`)}</span>
            </>
          );
          return may.value.administer
            ? <button key={mode} type="button" class={`mode ${MODE_TONES[mode]}`} aria-pressed={current} disabled={current} onClick={() => onAsk(mode)}>{inside}</button>
            : <div key={mode} class={`mode ${MODE_TONES[mode]}`} aria-current={current ? "true" : undefined}>{inside}</div>;
        })}
      </div>
      <p class="by"><By {...service} /></p>
    </section>
  );
}

/** Whether destructive tools may run: only while a recent audit checkpoint is signed and exported. */
function Proof({ controls }: { controls: Controls }) {
  const { checkpoint, audit_proven: proven } = controls;
  return (
    <section class={`verdict ${proven ? "good" : "warn"}`}>
      <Icon name={proven ? "shield" : "broken"} size={28} />
      <div>
        <strong>{t(proven ? "switches.proven" : "switches.unproven")}</strong>
        <p>
          {checkpoint === null ? t("switches.no_checkpoint") : (
            <>
              {t("switches.checkpoint", { seq: checkpoint.seq, age: duration(now.value - Date.parse(checkpoint.signed_at)) })}
              {" · "}{checkpoint.exported_at === undefined ? t("switches.not_exported") : t("switches.exported", { age: duration(now.value - Date.parse(checkpoint.exported_at)) })}
            </>
          )}
          {" · "}{t("switches.max_age", { age: t("unit.min", { n: Math.round(controls.checkpoint_max_age_s / 60) }) })}
        </p>
      </div>
    </section>
  );
}

function Tools({ controls, onAsk }: { controls: Controls; onAsk: (asking: Asking) => void }) {
  const admin = may.value.administer;
  return (
    <div class="table-box">
      <table>
        <caption class="unseen">{t("switches.tools")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("field.tool")}</th>
            <th scope="col">{t("field.effect")}</th>
            <th scope="col">{t("field.mode")}</th>
            <th scope="col">{t("switches.since")}</th>
            {admin && <th scope="col"><span class="unseen">{t("field.action")}</span></th>}
          </tr>
        </thead>
        <tbody>
          {controls.tools.map((tool) => (
            <tr key={tool.name} data-tool={tool.name}>
              <td data-label={t("field.tool")}><span class="stack"><span>{visible(tool.title)}</span><code>{visible(tool.name)}</code></span></td>
              <td data-label={t("field.effect")}><EffectBadge effect={tool.effect} /></td>
              <td data-label={t("field.mode")}><span class="stack"><ModeBadge mode={tool.mode} />{tool.effective !== undefined && tool.effective !== tool.mode && <small class="by">{t("switches.acts_as", { mode: named("mode", tool.effective) })}</small>}{tool.effect === "destructive" && <Opening tool={tool} />}</span></td>
              <td data-label={t("switches.since")} class="wraps">{tool.reason || tool.by ? <By by={tool.by} at={tool.at} reason={tool.reason} /> : "–"}</td>
              {admin && (
                <td class="last">
                  <span class="actions">
                    {tool.effect === "destructive" && <button type="button" onClick={() => onAsk({ what: "opening", tool })}>{t("switches.open")}</button>}
                    <button type="button" onClick={() => onAsk({ what: "tool", tool })}>{t("switches.change")}</button>
                  </span>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function openFor(tool: ToolControl): number {
  return tool.opened_until === undefined ? 0 : Math.max(0, Date.parse(tool.opened_until) - now.value);
}

function Opening({ tool }: { tool: ToolControl }) {
  const rest = openFor(tool);
  return rest > 0 ? <span class="badge bad">{t("switches.opened", { rest: countdown(rest) })}</span> : <span class="badge outline plain">{t("switches.shut")}</span>;
}

function ConfirmMode({ mode, onClose }: { mode: Mode; onClose: () => void }) {
  const { api, controls } = current();
  return (
    <Confirm title={t("switches.mode_title", { mode: named("mode", mode) })} tone={mode === "full" ? "good" : "bad"} note="needed"
      confirm={t("switches.mode_confirm")} onClose={onClose}
      onConfirm={async (reason) => {
        controls.set(await api.setMode(mode, reason));
        announce(t("switches.mode_said", { mode: named("mode", mode) }));
      }}>
      <p>{t(`mode_hint.${mode}`)} {t("switches.mode_when")}</p>
    </Confirm>
  );
}

function ConfirmTool({ tool, onClose }: { tool: ToolControl; onClose: () => void }) {
  const { api, controls } = current();
  const [mode, setMode] = useState<Mode>(tool.mode);
  return (
    <Confirm title={t("switches.tool_title", { tool: visible(tool.name) })} tone={mode === "full" ? "good" : "bad"} note="needed"
      confirm={t("switches.mode_confirm")} onClose={onClose} blocked={mode === tool.mode ? t("switches.choose_other") : undefined}
      onConfirm={async (reason) => {
        controls.set(await api.setTool(tool.name, mode, reason));
        announce(t("switches.tool_said", { tool: visible(tool.name), mode: named("mode", mode) }));
      }}>
      <fieldset class="choice">
        <legend>{t("field.mode")}</legend>
        {MODES.map((one) => (
          <label key={one}>
            <input type="radio" name="mode" value={one} checked={mode === one} onChange={() => setMode(one)} />
            <span><b>{named("mode", one)}</b> <small>{t(`mode_hint.${one}`)}</small></span>
          </label>
        ))}
      </fieldset>
    </Confirm>
  );
}

function ConfirmOpening({ tool, onClose }: { tool: ToolControl; onClose: () => void }) {
  const { api, controls } = current();
  const [minutes, setMinutes] = useState(15);
  const right = Number.isInteger(minutes) && minutes >= 0 && minutes <= 1440;
  return (
    <Confirm title={t("switches.open_title", { tool: visible(tool.name) })} tone={minutes > 0 ? "bad" : "good"} note="needed"
      confirm={t(minutes === 0 ? "switches.shut_confirm" : "switches.open_confirm")} onClose={onClose}
      blocked={right ? undefined : t("switches.minutes_wrong")}
      onConfirm={async (reason) => {
        controls.set(await api.openTool(tool.name, minutes, reason));
        announce(t(minutes === 0 ? "switches.shut_said" : "switches.open_said", { tool: visible(tool.name), n: minutes }));
      }}>
      <p>{t("switches.open_hint")}</p>
      <label class="field">
        <span>{t("switches.minutes")}</span>
        <input type="number" name="minutes" min={0} max={1440} step={1} value={minutes} onInput={(event) => setMinutes(event.currentTarget.valueAsNumber)} />
        <small>{t("switches.minutes_hint")}</small>
      </label>
    </Confirm>
  );
}
