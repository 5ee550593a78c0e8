import { registerHooks } from "node:module";

const SDK = "openclaw/plugin-sdk/agent-harness-runtime";
const SHARED = Symbol.for("mini-gateway.agents");

/** Plugins import this module of the gateway's; there is no gateway here to resolve it. */
export function offerHarness(agents) {
  globalThis[SHARED] = agents;
  const source = `const agents = globalThis[Symbol.for("mini-gateway.agents")];
    export const resolveActiveEmbeddedRunSessionId = agents.activeSession;
    export const abortAgentHarnessRun = (id) => agents.abort(id);`;
  const url = `data:text/javascript,${encodeURIComponent(source)}`;
  registerHooks({
    resolve: (specifier, context, next) => (specifier === SDK ? { url, shortCircuit: true } : next(specifier, context)),
  });
}
