"""Database URLs: one spelling in, the spelling each library wants out."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

# What hosted databases put into their URLs and asyncpg spells otherwise, or has no word for.
ASYNCPG = {"sslmode": "ssl", "channel_binding": None}


def sqlalchemy_url(url: str, driver: str = "psycopg") -> str:
    """The URL with a driver's name in it, as SQLAlchemy wants it: psycopg, psycopg2 or asyncpg.

    >>> sqlalchemy_url("postgres://ada@db/app")
    'postgresql+psycopg://ada@db/app'
    >>> sqlalchemy_url("postgresql://ada@db/app?sslmode=require", "asyncpg")
    'postgresql+asyncpg://ada@db/app?ssl=require'
    """
    scheme, _, rest = url.partition("://")
    if scheme not in {"postgres", "postgresql"}:
        return url
    where, _, query = rest.partition("?")
    if driver == "asyncpg":
        spelled = [(ASYNCPG.get(name, name), value) for name, value in parse_qsl(query)]
        query = urlencode([(name, value) for name, value in spelled if name], safe="/")
    return f"postgresql+{driver}://{where}" + (f"?{query}" if query else "")


def with_database(url: str, name: str) -> str:
    """The same server's URL for another database.

    >>> with_database("postgresql://ada@/app?host=/tmp", "other")
    'postgresql://ada@/other?host=/tmp'
    """
    where, mark, query = url.partition("?")
    scheme, _, server = where.partition("://")
    return f"{scheme}://{server.partition('/')[0]}/{name}{mark}{query}"


def masked(url: str) -> str:
    """The URL without its password.

    >>> masked("postgresql://ada:secret@db:5432/app")
    'postgresql://ada:***@db:5432/app'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))
