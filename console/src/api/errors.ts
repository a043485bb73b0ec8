// Why a call failed, and what a person can do about it.
export type Trouble =
  | 'offline' // no answer at all
  | 'unauthenticated'
  | 'forbidden'
  | 'unsupported' // this server has no such route
  | 'not-found'
  | 'busy' // slow down
  | 'input' // what was sent is wrong
  | 'server';

export class ApiError extends Error {
  readonly status: number; // of HTTP; 0: there was no answer
  readonly code: number; // of gRPC
  readonly retryAfterSeconds: number | null;

  constructor(status: number, code: number, message: string, retryAfterSeconds: number | null = null) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

const noSuchRoute = /no such path|not routed|no such route/i;

export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof ApiError)) return 'server';
  switch (error.status) {
    case 0:
      return 'offline';
    case 400:
    case 409:
    case 413:
      return 'input';
    case 401:
      return 'unauthenticated';
    case 403:
      return 'forbidden';
    case 404:
      return noSuchRoute.test(error.message) ? 'unsupported' : 'not-found';
    case 405:
    case 501:
      return 'unsupported';
    case 429:
      return 'busy';
    default:
      return 'server';
  }
}

export interface Advice {
  title: string;
  text: string;
  canRetry: boolean;
}

// A title, what happened and what to do, in words for the person at the screen.
export function adviceFor(error: unknown): Advice {
  const message = error instanceof Error ? error.message : String(error);
  const wait = error instanceof ApiError ? error.retryAfterSeconds : null;
  switch (troubleOf(error)) {
    case 'offline':
      return {
        title: 'The server does not answer',
        text: 'Check that Vectron runs and that this address reaches it. The console tries again by itself.',
        canRetry: true,
      };
    case 'unauthenticated':
      return { title: 'You are signed out', text: 'Sign in again to go on.', canRetry: false };
    case 'forbidden':
      return {
        title: 'You do not have the right to see this',
        text: 'An administrator can see it, and can make you one under Users.',
        canRetry: false,
      };
    case 'unsupported':
      return {
        title: 'This server does not offer it',
        text: 'The part of Vectron behind this page is not running here, or is of an older version.',
        canRetry: true,
      };
    case 'not-found':
      return { title: 'It is not there', text: message, canRetry: true };
    case 'busy':
      return {
        title: 'Too many requests',
        text: wait ? `The server asks to wait ${wait} s. ${message}` : `The server asks to slow down. ${message}`,
        canRetry: true,
      };
    case 'input':
      return { title: 'The server did not accept it', text: message, canRetry: false };
    case 'server':
      return { title: 'The server could not do it', text: message, canRetry: true };
  }
}
