/** Mouse, touch and keys on the seat map. */
import type { MapView } from './map-view.ts';

export interface MapActions {
  /** A seat was clicked or touched. */
  readonly onChoose: (seat: number) => void;
  /** The mouse is over it; 0 for none. */
  readonly onHover: (seat: number) => void;
}

/** A finger is never quite still: less than this is no drag. CSS pixels. */
const dragMin = 6;
export const zoomStep = 1.4;

/** Ends with the signal. */
export function listenToPointers(
  canvas: HTMLCanvasElement,
  map: MapView,
  actions: MapActions,
  signal: AbortSignal,
): void {
  const pointers = new Map<number, { x: number; y: number }>();
  let isDrag = false;
  let startedAt = { x: 0, y: 0 };

  const pointOf = ({ clientX, clientY }: MouseEvent): { x: number; y: number } => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  // While all is seen a finger scrolls the page past the map; zoomed in, it moves the map.
  const tellTouch = (): void => {
    canvas.style.touchAction = map.isZoomed ? 'none' : 'pan-y';
  };

  const onDown = (event: PointerEvent): void => {
    if (event.pointerType === 'mouse' && event.button !== 0) return;
    const point = pointOf(event);
    pointers.set(event.pointerId, point);
    canvas.setPointerCapture(event.pointerId);
    isDrag = pointers.size > 1;
    startedAt = point;
  };
  const onMove = (event: PointerEvent): void => {
    const point = pointOf(event);
    const before = pointers.get(event.pointerId);
    if (before === undefined) {
      if (event.pointerType === 'mouse') actions.onHover(map.seatAt(point.x, point.y));
      return;
    }
    if (Math.hypot(point.x - startedAt.x, point.y - startedAt.y) >= dragMin) isDrag = true;
    if (!isDrag) return;
    const [other] = [...pointers].flatMap(([id, at]) => (id === event.pointerId ? [] : [at]));
    if (other !== undefined) {
      const apart = (at: { x: number; y: number }): number => Math.max(20, Math.hypot(at.x - other.x, at.y - other.y));
      map.zoom(apart(point) / apart(before), { x: (point.x + other.x) / 2, y: (point.y + other.y) / 2 });
      map.pan((before.x - point.x) / 2, (before.y - point.y) / 2);
    } else map.pan(before.x - point.x, before.y - point.y);
    pointers.set(event.pointerId, point);
    actions.onHover(0);
    tellTouch();
  };
  const onUp = (event: PointerEvent): void => {
    if (!pointers.delete(event.pointerId) || isDrag || event.type !== 'pointerup') return;
    const point = pointOf(event);
    const seat = map.seatAt(point.x, point.y);
    if (seat !== 0) actions.onChoose(seat);
  };
  const onWheel = (event: WheelEvent): void => {
    // All is seen: the wheel scrolls the page on.
    if (event.deltaY > 0 && !map.isZoomed) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    map.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0025)), pointOf(event));
    // What is under the mouse now is another seat, or lies elsewhere.
    actions.onHover(0);
    tellTouch();
  };

  tellTouch();
  canvas.addEventListener('pointerdown', onDown, { signal });
  canvas.addEventListener('pointermove', onMove, { signal });
  canvas.addEventListener('pointerup', onUp, { signal });
  canvas.addEventListener('pointercancel', onUp, { signal });
  canvas.addEventListener('pointerleave', () => actions.onHover(0), { signal });
  canvas.addEventListener('wheel', onWheel, { passive: false, signal });
}
