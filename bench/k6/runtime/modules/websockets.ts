/** `k6/websockets`. */
import { WebSocket as Socket } from 'ws';
import { demandFields, isTexts, strict } from '../strict.ts';
import { callBack, keepOpen, state } from '../vu-state.ts';

type Listener<Event> = ((event: Event) => unknown) | null;

/** A socket that keeps the iteration open until it is closed. Behind `strict`: other names of it throw. */
class ScriptSocket {
  onopen: Listener<{ readonly type: 'open' }> = null;
  onmessage: Listener<{ readonly type: 'message'; readonly data: string }> = null;
  onerror: Listener<{ readonly type: 'error'; readonly error: string }> = null;
  onclose: Listener<{ readonly type: 'close' }> = null;
  readonly send: (text: string) => void;
  readonly close: () => void;

  constructor(url: string, protocols: null, params: { readonly headers?: Readonly<Record<string, string>> }) {
    if (state.phase === 'init') throw new Error('a socket in the init context');
    if (!/^wss?:\/\//.test(url)) throw new Error(`WebSocket requires url with scheme ws or wss, but got ${url}`);
    if (protocols !== null) throw new Error('no subprotocols in this runtime');
    demandFields('params', params, { headers: isTexts });
    const socket = new Socket(url, { headers: params.headers ?? {} });
    const release = keepOpen();
    let isClosing = false;
    this.send = (text) => {
      if (socket.readyState !== Socket.OPEN) throw new Error('InvalidStateError');
      if (typeof text !== 'string') throw new Error('a message is text in this runtime');
      socket.send(text);
    };
    this.close = () => {
      isClosing = true;
      socket.close(1000);
    };
    socket.on('open', () => callBack(() => this.onopen?.({ type: 'open' })));
    socket.on('message', (data) => {
      // Of a socket that its script closes, k6 tells nothing more.
      if (!isClosing) callBack(() => this.onmessage?.({ type: 'message', data: data.toString() }));
    });
    socket.on('error', ({ message }) => callBack(() => this.onerror?.({ type: 'error', error: message })));
    socket.on('close', () => {
      callBack(() => this.onclose?.({ type: 'close' }));
      release();
    });
  }
}

/** What `new WebSocket(...)` is in a script. */
export const WebSocket = new Proxy(ScriptSocket, {
  construct: (target, args: ConstructorParameters<typeof ScriptSocket>) => strict('a WebSocket', new target(...args)),
});
