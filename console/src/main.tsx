import { render } from "preact";
import "./look/base.css";
import "./look/parts.css";
import "./look/frame.css";
import { App } from "./app.tsx";
import { startClock } from "./live/clock.ts";
import { startLook } from "./look/preferences.ts";
import { startRouting } from "./route.ts";
import { loadConfig } from "./session/session.ts";

startLook();
startClock();
startRouting();
await loadConfig();
const root = document.getElementById("app");
if (root) render(<App />, root);
