/** The part of noVNC that its page uses (https://github.com/novnc/noVNC/blob/v1.7.0/docs/API.md). */
declare module "@novnc/novnc" {
  export default class RFB extends EventTarget {
    constructor(
      target: Element,
      channel: WebSocket,
      options?: { wsProtocols?: string[]; credentials?: { password?: string } },
    );
    viewOnly: boolean;
    scaleViewport: boolean;
    focusOnClick: boolean;
    background: string;
    disconnect(): void;
    focus(): void;
    sendCredentials(credentials: { username?: string; password?: string }): void;
    sendCtrlAltDel(): void;
    clipboardPasteFrom(text: string): void;
  }
}
