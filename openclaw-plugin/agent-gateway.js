import { AsyncLocalStorage } from "node:async_hooks";

// States of a session in the gateway's store in which no run is active, so the gateway resumes nothing after a crash.
const FREE = { mainRestartRecovery: undefined, restartRecoveryRuns: undefined, abortedLastRun: false };

// A turn has up to two messages for each of its calls. The newest come.
const SHOWN = 500;

/**
 * The gateway's interface for turns. Work that continues after a response must not run in the context of its request: the
 * gateway cancels such work when the request ends. So everything runs in the context of the registration.
 */
export function agentGateway(runtime) {
  const outside = AsyncLocalStorage.snapshot();
  const { subagent, agent } = runtime ?? {};
  return {
    outside,
    run: (request) => outside(() => subagent.run(request)),
    wait: (request) => outside(() => subagent.waitForRun(request)),
    messages: (sessionKey) => outside(() => messagesOf(subagent, sessionKey, SHOWN)),
    forget: (sessionKey) => outside(() => forgetSession(subagent, sessionKey)),
    stop: (sessionKey) => outside(() => stopRun(sessionKey)),
    isStuck: async (sessionKey) => outside(() => isStuck(agent.session.getSessionEntry({ sessionKey }))),
    free: async (sessionKey) => outside(() => freeSession(agent.session, sessionKey)),
  };
}

async function messagesOf(subagent, sessionKey, limit) {
  return (await subagent.getSessionMessages({ sessionKey, limit })).messages;
}

async function forgetSession(subagent, sessionKey) {
  const messages = await messagesOf(subagent, sessionKey, 1);
  await subagent.deleteSession({ sessionKey, deleteTranscript: true });
  return messages.length > 0;
}

/**
 * After a crash the gateway marks every session with an active run, to resume them one after another; and it treats the
 * run of a plugin as a child run too, and ends child runs. A session that is ended before it is resumed
 * keeps its mark: the gateway never resumes it, and refuses every later run in it.
 */
const isStuck = (entry) => entry?.mainRestartRecovery !== undefined && entry.status !== "running";

/** Writes only if the session is marked and has no active run. Its messages are not changed. */
async function freeSession(session, sessionKey) {
  if (!isStuck(session.getSessionEntry({ sessionKey }))) return;
  const update = (entry) => (isStuck(entry) ? FREE : null);
  await session.patchSessionEntry({ sessionKey, preserveActivity: true, update });
}

/** Plugins can stop a run only through the gateway's interface for agent harnesses. */
async function stopRun(sessionKey) {
  const harness = await import("openclaw/plugin-sdk/agent-harness-runtime");
  const id = harness.resolveActiveEmbeddedRunSessionId(sessionKey);
  return id ? harness.abortAgentHarnessRun(id) : false;
}
