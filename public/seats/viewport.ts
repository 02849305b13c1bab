/** Which part of the hall is seen: the zoom and its limits. Screen = (hall - origin) * scale; CSS pixels. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface View {
  /** Pixels a seat. */
  readonly scale: number;
  /** Of the hall, at the upper left corner of the screen. */
  readonly x: number;
  readonly y: number;
}

/** A seat of this size shows its number well, and a finger meets it. */
const scaleMax = 48;
/** A small hall does not fill a large screen. */
const fitScaleMax = 34;

export function fitScale(hall: Size, screen: Size): number {
  return Math.min(fitScaleMax, screen.width / hall.width, screen.height / hall.height);
}

/** Within an axis: in the middle where all of it fits, else never past its ends. */
function clampAxis(origin: number, length: number, seen: number): number {
  return length <= seen ? (length - seen) / 2 : Math.min(Math.max(origin, 0), length - seen);
}

/** The nearest view that is allowed. */
export function clampView(view: View, hall: Size, screen: Size): View {
  const least = fitScale(hall, screen);
  const scale = Math.min(Math.max(view.scale, least), Math.max(scaleMax, least));
  return {
    scale,
    x: clampAxis(view.x, hall.width, screen.width / scale),
    y: clampAxis(view.y, hall.height, screen.height / scale),
  };
}

export function fitView(hall: Size, screen: Size): View {
  return clampView({ scale: 0, x: 0, y: 0 }, hall, screen);
}

/** Zooms so that what is at a point of the screen stays there. */
export function zoomAt(view: View, factor: number, at: { x: number; y: number }, hall: Size, screen: Size): View {
  const { scale } = clampView({ ...view, scale: view.scale * factor }, hall, screen);
  const x = view.x + at.x / view.scale - at.x / scale;
  const y = view.y + at.y / view.scale - at.y / scale;
  return clampView({ scale, x, y }, hall, screen);
}

/** Moves by pixels of the screen. */
export function panBy(view: View, dx: number, dy: number, hall: Size, screen: Size): View {
  return clampView({ ...view, x: view.x + dx / view.scale, y: view.y + dy / view.scale }, hall, screen);
}

/** Moves as little as needed to see a seat, with one more around it. */
export function reveal(view: View, seat: { x: number; y: number }, hall: Size, screen: Size): View {
  const toSee = (origin: number, at: number, seen: number): number =>
    at - 1 < origin ? at - 1 : at + 2 > origin + seen ? at + 2 - seen : origin;
  const x = toSee(view.x, seat.x, screen.width / view.scale);
  const y = toSee(view.y, seat.y, screen.height / view.scale);
  return clampView({ ...view, x, y }, hall, screen);
}
