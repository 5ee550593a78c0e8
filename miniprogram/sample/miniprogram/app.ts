import { service } from "./service";

App({
  onLaunch() {
    // Jobs that were open before a restart go on now, on any page.
    service();
  },
});
