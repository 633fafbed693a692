"""Database URLs: one spelling in, the spelling each library wants out."""

from urllib.parse import urlsplit, urlunsplit


def sqlalchemy_url(url: str, driver: str = "psycopg") -> str:
    """The URL with a driver's name in it, as SQLAlchemy wants it.

    >>> sqlalchemy_url("postgres://ada@db/app")
    'postgresql+psycopg://ada@db/app'
    """
    scheme, _, rest = url.partition("://")
    return f"postgresql+{driver}://{rest}" if scheme in {"postgres", "postgresql"} else url


def with_database(url: str, name: str) -> str:
    """The same server's URL for another database.

    >>> with_database("postgresql://ada@/app?host=/tmp", "other")
    'postgresql://ada@/other?host=/tmp'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def masked(url: str) -> str:
    """The URL without its password.

    >>> masked("postgresql://ada:secret@db:5432/app")
    'postgresql://ada:***@db:5432/app'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))
