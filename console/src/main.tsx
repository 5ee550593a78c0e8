import { render } from "preact";
import "./style/base.css";
import "./style/parts.css";
import "./style/frame.css";
import { App } from "./app.tsx";
import { startClock } from "./live/clock.ts";
import { applyPreferences } from "./style/preferences.ts";
import { startRouting } from "./route.ts";
import { loadConfig } from "./session/session.ts";

applyPreferences();
startClock();
startRouting();
await loadConfig();
const root = document.getElementById("app");
if (root) render(<App />, root);
