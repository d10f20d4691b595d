// Places in a JSON text: how they are written, and the node that stands there.
import { findNodeAtLocation, type Node } from 'jsonc-parser';

export type JsonPath = (string | number)[];

/** `connections[0].database.port` */
export function showPath(path: JsonPath): string {
  let shown = '';
  for (const key of path) {
    if (typeof key === 'number') shown += `[${key}]`;
    else shown += shown === '' ? key : `.${key}`;
  }
  return shown;
}

/** The node at a path (a property, with its key, in an object), or of the nearest ancestor that is there. */
export function nearestNode(tree: Node | undefined, path: JsonPath): Node | undefined {
  if (tree === undefined) return undefined;
  for (let length = path.length; length > 0; length--) {
    const node = findNodeAtLocation(tree, path.slice(0, length));
    if (node !== undefined) return node.parent?.type === 'property' ? node.parent : node;
  }
  return tree;
}
