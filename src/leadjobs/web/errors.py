"""How an error becomes an answer: its status, its code, and who must act; never a secret or a payload."""

import psycopg
from starlette.responses import JSONResponse

from leadjobs.errors import (
    BadSignatureError,
    LeadjobsError,
    StoreError,
    TooLargeError,
    UnknownSourceError,
    WebhookError,
)

RETRY_LATER = {"Retry-After": "60"}


def error_answer(error: Exception) -> JSONResponse:
    """The answer to a caller whose request ended in this error; 503 with Retry-After where nothing was stored."""
    match error:
        case BadSignatureError():
            return _answer(401, error, "unauthorized")
        case UnknownSourceError():
            return _answer(404, error, "unknown source")
        case TooLargeError():
            return _answer(413, error, str(error))
        case WebhookError():
            return _answer(400, error, str(error))
        case StoreError():
            return _answer(503, error, str(error))
        case LeadjobsError():
            return _answer(500, error, str(error))
        case psycopg.Error() | TimeoutError():
            return JSONResponse(
                {"error": "the database did not do it in time", "code": StoreError.code}, 503, RETRY_LATER
            )
        case _:
            raise error


def _answer(status: int, error: LeadjobsError, text: str) -> JSONResponse:
    headers = {"Cache-Control": "no-store"} | (RETRY_LATER if status == 503 else {})
    return JSONResponse({"error": text, "code": error.code}, status, headers)
