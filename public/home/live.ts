/** Word of the own reservations over a socket, as long as somebody is logged in. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { FastpassSocket } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';

/** Calls `onChange` whenever a reservation may have changed. False while there is no socket: then somebody must ask. */
export function useReservationEvents(onChange: () => void): boolean {
  const [isOpen, setIsOpen] = useState(false);
  const changed = useRef(onChange);
  changed.current = onChange;
  useEffect(() => {
    const socket = new FastpassSocket(client);
    const tell = (): void => changed.current();
    const ends = [
      socket.onReservationExpired(tell),
      socket.onReservationConfirmed(tell),
      socket.onState(({ state }) => {
        setIsOpen(state === 'open');
        // What happened while there was none, nobody has told.
        if (state === 'open') tell();
      }),
    ];
    socket.open();
    return () => {
      for (const end of ends) end();
      socket.close();
    };
  }, []);
  return isOpen;
}
