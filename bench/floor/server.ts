/** The floor: a bare uWebSockets.js server that parses the same body and answers 201 with an answer of the same size. */
import { App, us_socket_local_port } from 'uWebSockets.js';

App()
  .post('/v1/reservations', (response, _request) => {
    let isGone = false;
    response.onAborted(() => {
      isGone = true;
    });
    response.onData((chunk, isLast) => {
      if (!isLast || isGone) return;
      const { performanceId, seats } = JSON.parse(Buffer.from(chunk).toString());
      response.cork(() => {
        response.writeStatus('201 Created');
        response.writeHeader('content-type', 'application/json');
        response.end(
          `{"reservationId":"019ab8a1-5c29-7b00-a6a5-3ef0e50f10c4","performanceId":${performanceId},"userId":1000001,"status":"HELD","seats":[${seats}],"amount":1000,"expiresAt":"2026-11-21T02:18:16.227Z"}`,
        );
      });
    });
  })
  .listen('127.0.0.1', 0, (socket) => {
    if (socket === false) process.exit(1);
    process.stdout.write(`${us_socket_local_port(socket)}\n`);
  });
