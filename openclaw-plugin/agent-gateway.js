import { AsyncLocalStorage } from "node:async_hooks";

// What the gateway keeps of a session in which it has nothing to go on with after a crash.
const FREE = { mainRestartRecovery: undefined, restartRecoveryRuns: undefined, abortedLastRun: false };

// A turn has up to two messages for each of its calls. The newest come.
const SHOWN = 500;

/**
 * What turns need of the gateway. Work that goes on behind an answer must not carry the context of its request: the
 * gateway shuts whatever still does when the request is over. So everything runs in the context of the registration.
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
 * After a crash the gateway marks every session that was at work, to go on in them one after another; and it counts the
 * run of a plugin as a child's too, and ends children that were at work. A session that is ended before its turn comes
 * keeps its mark: the gateway never goes on in it, and refuses every run that is to begin there, for ever.
 */
const isStuck = (entry) => entry?.mainRestartRecovery !== undefined && entry.status !== "running";

/** Nothing is written unless the session is stuck, and nothing of what was said in it is touched. */
async function freeSession(session, sessionKey) {
  if (!isStuck(session.getSessionEntry({ sessionKey }))) return;
  const update = (entry) => (isStuck(entry) ? FREE : null);
  await session.patchSessionEntry({ sessionKey, preserveActivity: true, update });
}

/** The gateway gives plugins no other way to stop a run than the one it has for agent harnesses. */
async function stopRun(sessionKey) {
  const harness = await import("openclaw/plugin-sdk/agent-harness-runtime");
  const id = harness.resolveActiveEmbeddedRunSessionId(sessionKey);
  return id ? harness.abortAgentHarnessRun(id) : false;
}
