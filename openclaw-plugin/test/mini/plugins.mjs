const PLUGINS = {
  journal: "../../index.js",
  demo: "../../../local/demo-tools/index.js",
};

/** One registration of the gateway's plugins. Agent runs have a registration of their own. */
export class Registry {
  tools = new Map();
  routes = new Map();
  #hooks = [];
  #endings = [];

  /** The stand-in for the object that the gateway hands to a plugin's `register`. */
  api(registrationMode, { port, agents }, pluginConfig) {
    return {
      registrationMode,
      pluginConfig,
      config: { gateway: { port } },
      runtime: { version: "mini", subagent: agents.subagent, agent: agents.agent, events: agents.events },
      logger: { warn: (text) => console.error(text) },
      registerTool: (tool) => this.tools.set(tool.name, tool),
      registerHttpRoute: ({ path, handler }) => this.routes.set(path, handler),
      on: (name, handler, { priority = 0 } = {}) => {
        if (name === "after_tool_call") this.#endings.push(handler);
        if (name !== "before_tool_call") return;
        this.#hooks.push({ handler, priority });
        this.#hooks.sort((left, right) => right.priority - left.priority);
      },
    };
  }

  /** Calls the hooks that only observe. */
  async tellEnd(event, context) {
    for (const handler of this.#endings) await handler(event, context);
  }

  /** The reason for which a hook blocks the call, or undefined. A hook that throws blocks. */
  async blockReason(event, context) {
    for (const { handler } of this.#hooks) {
      try {
        const decision = await handler(event, context);
        if (decision?.block) return decision.blockReason ?? "Tool call blocked by plugin hook";
      } catch {
        return "Tool call blocked because before_tool_call hook failed";
      }
    }
    return undefined;
  }
}

/** Registers the real plugins twice, as the gateway does: for direct calls, and for agent runs. */
export async function loadPlugins({ port, configs, agents, runs }) {
  const direct = new Registry();
  for (const [name, config] of Object.entries(configs)) {
    const { default: plugin } = await import(PLUGINS[name]);
    plugin.register(direct.api("full", { port, agents }, config));
    plugin.register(runs.api("discovery", { port, agents }, config));
  }
  return { direct, runs };
}
