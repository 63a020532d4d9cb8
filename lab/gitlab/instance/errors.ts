/** An answer that is not a success: the status and exactly the body that GitLab sends. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: Record<string, unknown>,
    readonly headers: Record<string, string> = {},
  ) {
    super(JSON.stringify(body));
  }
}

export const messageError = (status: number, message: unknown): ApiError => new ApiError(status, { message });
export const plainError = (status: number, error: string): ApiError => new ApiError(status, { error });
/** `{"message":"404 Project Not Found"}` */
export const notFound = (what?: string): ApiError =>
  messageError(404, what ? `404 ${what} Not Found` : '404 Not found');
export const unauthorized = (): ApiError => messageError(401, '401 Unauthorized');
export const forbidden = (reason?: string): ApiError =>
  messageError(403, `403 Forbidden${reason ? ` - ${reason}` : ''}`);
export const badRequest = (reason: string): ApiError => messageError(400, reason);
