/** How well one colour is read on another. */

/** Relative luminance (WCAG) of `rgb(47, 158, 88)`. */
function luminanceOf(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).map((text) => {
    const part = Number(text) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Which of two colours is read more easily on a third one. */
export function moreLegible(background: string, one: string, other: string): string {
  const below = luminanceOf(background) + 0.05;
  const contrast = (colour: string): number => {
    const above = luminanceOf(colour) + 0.05;
    return Math.max(above, below) / Math.min(above, below);
  };
  return contrast(one) >= contrast(other) ? one : other;
}
