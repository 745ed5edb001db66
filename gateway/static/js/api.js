// Calls of the gateway's REST interface.
import { t } from "./words.js";

const BASE = "/api/v1/";

/** What went wrong, in words for the reader; `field` names what caused it. */
export class ApiError extends Error {
  constructor({ code, message, field }, status = 0) {
    super(message);
    Object.assign(this, { code, field, status });
  }
}

export const networkError = () => new ApiError({ code: "NETWORK", message: t("error.network"), field: null });

export const path = (...parts) => BASE + parts.map(encodeURIComponent).join("/");

async function received(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : networkError();
  }
}

async function answer(request) {
  const response = await received(request);
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw body?.error ? new ApiError(body.error, response.status) : networkError();
}

export const get = async (url) => (await answer(fetch(url))).json();
export const remove = (url, options = {}) => answer(fetch(url, { method: "DELETE", ...options }));

/** Post JSON or form data; returns the response. */
export function post(url, body = {}, options = {}) {
  const json = !(body instanceof FormData);
  const headers = json ? { "Content-Type": "application/json" } : {};
  return answer(fetch(url, { method: "POST", headers, body: json ? JSON.stringify(body) : body, ...options }));
}

/** Change some fields of something; returns all of it. */
export async function patch(url, body) {
  const headers = { "Content-Type": "application/json" };
  return (await answer(fetch(url, { method: "PATCH", headers, body: JSON.stringify(body) }))).json();
}

/** Post form data, telling how much has been sent (0 to 1); only XMLHttpRequest can tell. */
export function upload(url, form, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.upload.onload = () => onProgress(1);
    request.onerror = () => reject(networkError());
    request.onload = () => {
      const body = request.response;
      if (request.status < 400 && body) resolve(body);
      else reject(body?.error ? new ApiError(body.error, request.status) : networkError());
    };
    request.send(form);
  });
}

/** The events of a text/event-stream response, as [name, data]. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await received(reader.read());
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = Object.fromEntries(block.split("\n").map((line) => [line.split(":")[0], line.slice(line.indexOf(":") + 1).trim()]));
      if (lines.event) yield [lines.event, JSON.parse(lines.data)];
    }
  }
}
