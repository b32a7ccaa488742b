import type { RouteError } from '../session-types';

/** An error that a request tells as `net::<code>`. */
export function routeError(code: RouteError['code'], message: string, more: Partial<RouteError> = {}): RouteError {
  return Object.assign(new Error(message), { code, ...more });
}
