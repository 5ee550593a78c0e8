// AG-UI 1.0 on top of the client: a transport, and the Behavior of a component.
export type * from "./agui-types.ts";
