/** What screen readers are told although the focus is elsewhere: one quiet place in the page, and one for what cannot wait. */

type Urgency = 'polite' | 'assertive';

const regions = new Map<Urgency, HTMLElement>();

function regionOf(urgency: Urgency): HTMLElement {
  let region = regions.get(urgency);
  if (region === undefined) {
    region = document.createElement('div');
    region.className = 'hidden-visually';
    region.setAttribute('aria-live', urgency);
    region.setAttribute('role', urgency === 'polite' ? 'status' : 'alert');
    document.body.append(region);
    regions.set(urgency, region);
  }
  return region;
}

/** Says it once. The same text again is said again. */
export function announce(text: string, urgency: Urgency = 'polite'): void {
  const region = regionOf(urgency);
  // A region that was there before it changes is heard; one that comes with its text may not be.
  const line = document.createElement('p');
  line.textContent = text;
  region.replaceChildren(line);
}

regionOf('polite');
regionOf('assertive');
