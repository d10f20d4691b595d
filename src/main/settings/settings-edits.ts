// From two states of the settings to the smallest edit of their text: what a person wrote stays as it stands.
import { isDeepStrictEqual } from 'node:util';
import {
  applyEdits,
  createScanner,
  findNodeAtLocation,
  modify,
  parseTree,
  type Edit,
  type Node,
} from 'jsonc-parser';
import type { Settings } from '../../contract/settings.ts';
import type { JsonPath } from './json-path.ts';

/**
 * The text after a change of the settings that it holds: comments, order and trailing commas are kept, defaults
 * that were left out stay left out. `text` must be a valid settings file whose content is `before`.
 */
export function editSettingsText(text: string, before: Settings, after: Settings): string {
  const edited = new EditedText(text);
  change(edited, [], before, after);
  return edited.text;
}

function change(edited: EditedText, path: JsonPath, before: unknown, after: unknown): void {
  if (isDeepStrictEqual(before, after)) return;
  // `database.url` stands for several fields; once one of them changes they are written out.
  const fromUrl = path.at(-1) === 'database' && edited.has([...path, 'url']);
  if (after === undefined) {
    edited.remove(path);
  } else if (fromUrl || !edited.has(path)) {
    // Where it is not in the text it stood there as a default, or it is new.
    edited.set(path, after);
  } else if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      change(edited, [...path, key], before[key], after[key]);
    }
  } else if (Array.isArray(before) && Array.isArray(after)) {
    changeList(edited, path, before, after);
  } else {
    edited.set(path, after);
  }
}

/** Elements are the same by their key, not by their place, so that removing the first keeps the second's comments. */
function changeList(edited: EditedText, path: JsonPath, before: unknown[], after: unknown[]): void {
  const keys = after.map(keyOf);
  const kept = before.filter((element) => keys.includes(keyOf(element)));
  const inOrder = kept.every((element, index) => keyOf(element) === keys[index]);
  if (!inOrder || new Set(keys).size < keys.length) {
    edited.set(path, after);
    return;
  }
  for (const [index, element] of [...before.entries()].reverse()) {
    if (!keys.includes(keyOf(element))) edited.remove([...path, index]);
  }
  for (const [index, element] of after.entries()) {
    if (index < kept.length) change(edited, [...path, index], kept[index], element);
    else edited.append(path, element);
  }
}

/** What makes a list's element itself: a connection's id, a job kind's name, a log host's address, else all of it. */
function keyOf(element: unknown): string {
  if (isRecord(element)) {
    if ('handler' in element) return `kind ${JSON.stringify(element['kind'])}`;
    if ('id' in element) return `id ${JSON.stringify(element['id'])}`;
    if ('host' in element) return JSON.stringify([element['user'], element['host'], element['port']]);
  }
  return JSON.stringify(element);
}

/** A text with comments under edit, in the indentation and line ends it has. */
class EditedText {
  text: string;

  constructor(text: string) {
    this.text = text;
  }

  has(path: JsonPath): boolean {
    return this.#node(path) !== undefined;
  }

  set(path: JsonPath, value: unknown): void {
    this.text = applyEdits(this.text, modify(this.text, path, value, this.#options()));
  }

  append(path: JsonPath, value: unknown): void {
    this.text = applyEdits(this.text, modify(this.text, [...path, -1], value, this.#options()));
  }

  /**
   * Takes out a property or an element with its comma and the comment behind it. Own code, because
   * jsonc-parser's removal leaves a lone comma behind `{ "a": 1, }` and breaks `[1,2]`.
   */
  remove(path: JsonPath): void {
    const value = this.#node(path);
    const node = value?.parent?.type === 'property' ? value.parent : value;
    if (node?.parent === undefined) return;
    const siblings = node.parent.children ?? [];
    const previous = siblings[siblings.indexOf(node) - 1];
    let start = node.offset;
    let end = node.offset + node.length;
    const edits: Edit[] = [];
    const comma = this.#commaAfter(end);
    if (comma !== null) end = comma + 1;
    else if (previous !== undefined) {
      const own = this.#commaAfter(previous.offset + previous.length);
      if (own !== null) edits.push({ offset: own, length: 1, content: '' });
    }
    const lineStart = this.text.lastIndexOf('\n', start - 1) + 1;
    const rest = /^[^\S\n]*(\/\/[^\n]*)?(\n|$)/.exec(this.text.slice(end));
    if (this.text.slice(lineStart, start).trim() === '' && rest !== null) {
      start = lineStart;
      end += rest[0].length;
    }
    edits.push({ offset: start, length: end - start, content: '' });
    this.text = applyEdits(this.text, edits);
  }

  /** Where the comma behind an offset stands, past white space and comments; null when something else does. */
  #commaAfter(offset: number): number | null {
    const scanner = createScanner(this.text, true);
    scanner.setPosition(offset);
    scanner.scan();
    const at = scanner.getTokenOffset();
    return this.text[at] === ',' ? at : null;
  }

  #node(path: JsonPath): Node | undefined {
    const tree = parseTree(this.text, [], { allowTrailingComma: true });
    return tree && findNodeAtLocation(tree, path);
  }

  #options() {
    const tabs = /^\t/m.test(this.text);
    const tabSize = tabs ? 1 : (/^( +)\S/m.exec(this.text)?.[1]?.length ?? 2);
    const eol = this.text.includes('\r\n') ? '\r\n' : '\n';
    return { formattingOptions: { insertSpaces: !tabs, tabSize, eol } };
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
