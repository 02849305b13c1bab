/**
 * The floor of the sockets: a bare uWebSockets.js server that tells every socket a position of its own once a second, in the
 * frame that a gateway sends, from the first message on. Arguments: performanceId, the first number, the first position,
 * admissions a second.
 */
import { App, us_socket_local_port, type WebSocket } from 'uWebSockets.js';

type Numbers = [number, number, number, number];
const [performanceId, firstNumber, firstPosition, perSecond] = process.argv.slice(2).map(Number) as Numbers;
const sockets = new Set<WebSocket<unknown>>();
let admitted = 0;
let isTicking = false;

function tick(): void {
  admitted += perSecond;
  let number = firstNumber;
  let position = firstPosition - admitted;
  for (const socket of sockets) {
    socket.send(
      `{"type":"queue.position","performanceId":${performanceId},"number":${number++},"position":${position},"etaSeconds":${Math.ceil(position++ / perSecond)}}`,
    );
  }
}

App()
  .ws('/*', {
    idleTimeout: 60,
    sendPingsAutomatically: true,
    open: (socket) => {
      sockets.add(socket);
    },
    message: () => {
      if (!isTicking) setInterval(tick, 1000);
      isTicking = true;
    },
    close: (socket) => {
      sockets.delete(socket);
    },
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) process.exit(1);
    process.stdout.write(`${us_socket_local_port(socket)}\n`);
  });
