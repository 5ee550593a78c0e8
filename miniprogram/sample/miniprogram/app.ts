import { service } from "./service";

App({
  onLaunch() {
    // What was asked before a restart goes on now, whichever page is shown.
    service();
  },
});
