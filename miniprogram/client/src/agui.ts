export function aguiTransport(): void {}
