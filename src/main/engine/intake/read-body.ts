import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HeadwayError } from '../../../contract/errors.ts';
import type { ByteBudget, ByteShare } from './byte-budget.ts';
import { Refusal, tooMuch } from './http-answer.ts';

/** A request's body, and the part of the budget it holds until disposed of. */
export interface Body extends Disposable {
  text: string;
}

/** What a body of unknown length holds before its first byte. */
const FIRST_SHARE_BYTES = 16 * 1024;

/**
 * The whole body as text. Refuses with 413 what is over `limitBytes`, as soon as it says so; with 429 what the budget has
 * no room for; with 415 an encoding; with 400 what is no UTF-8. A client that asked first is told to send only now.
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  { limitBytes, budget }: { limitBytes: number; budget: ByteBudget },
): Promise<Body> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    throw new Refusal(
      415,
      new HeadwayError('bad-request', `Content-Encoding ${encoding} is not read; send the body as it is.`),
      { headers: { 'Accept-Encoding': 'identity' }, close: true },
    );
  const declared = request.headers['content-length'];
  const expected = declared === undefined ? null : Number(declared);
  if (expected !== null && expected > limitBytes) throw tooLarge(limitBytes);
  const share = budget.reserve(expected ?? FIRST_SHARE_BYTES);
  if (!share) throw full();
  try {
    // Answers "Expect: 100-continue".
    if (request.headers.expect !== undefined) response.writeContinue();
    const bytes = await collect(request, share, limitBytes);
    if (!isUtf8(bytes)) throw new Refusal(400, new HeadwayError('bad-request', 'the body is no UTF-8'));
    return { text: bytes.toString('utf8'), [Symbol.dispose]: () => share[Symbol.dispose]() };
  } catch (error) {
    share[Symbol.dispose]();
    throw error;
  }
}

function collect(request: IncomingMessage, share: ByteShare, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let size = 0;
    let held = FIRST_SHARE_BYTES;
    const settle = (act: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      act();
    };
    const onData = (piece: Buffer): void => {
      size += piece.length;
      if (size > limitBytes) {
        settle(() => reject(tooLarge(limitBytes)));
        return;
      }
      pieces.push(piece);
      if (request.headers['content-length'] !== undefined || size <= held) return;
      held = Math.min(limitBytes, size * 2);
      if (!share.resize(held)) settle(() => reject(full()));
    };
    const onEnd = (): void =>
      settle(() => resolve(pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)));
    const onClose = (): void => settle(() => reject(new ClientGone()));
    request.on('data', onData).once('end', onEnd).once('close', onClose).once('error', onClose);
  });
}

/** The client closed its connection before its request was whole: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

const tooLarge = (limitBytes: number): Refusal =>
  new Refusal(
    413,
    new HeadwayError(
      'bad-request',
      `The body is over ${Math.floor(limitBytes / 2 ** 20)} MB; send fewer rows at once, or smaller payloads.`,
    ),
    { close: true },
  );

const full = (): Refusal => tooMuch('Too many bytes of other requests are in flight', { close: true });
