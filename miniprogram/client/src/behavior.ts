export function createAGUIBehavior(): void {}
