/** What clients send over a WebSocket, checked by schemas, and how frames are written in the two subprotocols. */
import { Packr, Unpackr } from 'msgpackr';
import Type, { type Static } from 'typebox';
import { isPlain } from './body.ts';
import { shape } from './schemas.ts';

/** In the order they are preferred where a client offers several. */
const subprotocols = ['fastpass.v1.json', 'fastpass.v1.msgpack'] as const;
export type Subprotocol = (typeof subprotocols)[number];

const tokenLengthMax = 512;
const idLengthMax = 64;

const queueWatch = shape(
  Type.Object({ type: Type.Literal('queue.watch'), ticket: Type.String({ minLength: 1, maxLength: tokenLengthMax }) }),
);
const seatsWatch = shape(
  Type.Object({
    type: Type.Literal('seats.watch'),
    performanceId: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  }),
);
/** The rest of it is checked where a body of HTTP is, and refused with the same answer. */
const reserve = shape(
  Type.Object({
    type: Type.Literal('reserve'),
    id: Type.Union([
      Type.String({ minLength: 1, maxLength: idLengthMax }),
      Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
    ]),
    idempotencyKey: Type.Optional(Type.String()),
    pass: Type.Optional(Type.String()),
  }),
);
const ping = shape(Type.Object({ type: Type.Literal('ping') }));

const shapes = { 'queue.watch': queueWatch, 'seats.watch': seatsWatch, reserve, ping } as const;

export type ReserveMessage = Static<typeof reserve.schema>;
export type ClientMessage =
  | Static<typeof queueWatch.schema>
  | Static<typeof seatsWatch.schema>
  | ReserveMessage
  | Static<typeof ping.schema>;

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
const packr = new Packr({ useRecords: false });
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The message in a frame, or what is wrong with it. */
export function readMessage(frame: ArrayBuffer, isBinary: boolean, isMsgpack: boolean): ClientMessage | string {
  if (isBinary !== isMsgpack) return isMsgpack ? 'send msgpack in binary frames' : 'send JSON in text frames';
  let value: unknown;
  try {
    // The frame is uWebSockets.js's memory: what is kept of it is copied by both readers.
    value = isMsgpack ? unpackr.unpack(Buffer.from(new Uint8Array(frame).slice())) : JSON.parse(utf8.decode(frame));
  } catch {
    return isMsgpack ? 'the frame is not msgpack' : 'the frame is not JSON';
  }
  if (typeof value !== 'object' || value === null || !isPlain(value)) return 'a message is an object with a type';
  const type = 'type' in value && typeof value.type === 'string' ? value.type : '';
  if (!Object.hasOwn(shapes, type)) return `the type is one of ${Object.keys(shapes).join(', ')}`;
  const { validator } = shapes[type as keyof typeof shapes];
  if (validator.Check(value)) return value as ClientMessage;
  const [error] = validator.Errors(value);
  return `${type}: ${error?.instancePath ?? ''} ${error?.message ?? 'is not valid'}`;
}

/** A frame of the client's subprotocol. */
export function writeMessage(message: Readonly<Record<string, unknown>>, isMsgpack: boolean): string | Buffer {
  return isMsgpack ? packr.pack(message) : JSON.stringify(message);
}

/** The subprotocol to speak: the first one offered that there is, JSON where none is asked for, null where none fits. */
export function chooseSubprotocol(offered: string): Subprotocol | '' | null {
  if (offered.trim() === '') return '';
  for (const name of offered.split(',')) {
    const known = subprotocols.find((candidate) => candidate === name.trim());
    if (known !== undefined) return known;
  }
  return null;
}
