"""How an error becomes an answer: its status, its code, and who must act; never a secret or a payload."""

from http import HTTPStatus

import psycopg
from starlette.responses import JSONResponse

from leadjobs.errors import (
    BadSignatureError,
    LeadjobsError,
    SchemaBehindError,
    StoreError,
    TooLargeError,
    UnknownSourceError,
    WebhookError,
)

# The first class that fits; no text means the error's own.
ANSWERS: tuple[tuple[type[Exception], int, str | None], ...] = (
    (BadSignatureError, 401, "unauthorized"),
    (UnknownSourceError, 404, "unknown source"),
    (TooLargeError, 413, None),
    (WebhookError, 400, None),
    (SchemaBehindError, 503, None),
    (StoreError, 503, "the database does not answer: try again later"),
    (LeadjobsError, 500, None),
    (psycopg.Error, 503, "the database does not answer: try again later"),
    (TimeoutError, 503, "the database does not answer: try again later"),
)


def error_answer(error: Exception) -> JSONResponse:
    """The answer to a caller whose request ended in this error; 503 with Retry-After where nothing was stored."""
    for kind, status, text in ANSWERS:
        if isinstance(error, kind):
            code = error.code if isinstance(error, LeadjobsError) else StoreError.code
            headers = {"Cache-Control": "no-store"} | (
                {"Retry-After": "60"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
            )
            return JSONResponse({"error": text or str(error), "code": code}, status, headers)
    raise error
