// The order of tenants in the circle: byte by byte in UTF-8, as databases compare text in binary.

/**
 * JavaScript compares UTF-16 units, in which the surrogates (everything above U+FFFF) stand below U+E000 to U+FFFF. With
 * those two ranges swapped the order is that of code points, which is that of UTF-8 bytes.
 */
export function byteOrderKey(id: string): string {
  // eslint-disable-next-line no-control-regex -- everything below the surrogates
  if (/^[\u0000-\ud7ff]*$/.test(id)) return id;
  let key = '';
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    key += String.fromCharCode(unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
  }
  return key;
}
