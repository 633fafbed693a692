"""One database URL in, the spelling of each library out."""

import pytest

from leadjobs.store.url import masked, sqlalchemy_url, with_database


@pytest.mark.parametrize(
    ("driver", "url", "expected"),
    [
        ("psycopg", "postgres://ada@db/app", "postgresql+psycopg://ada@db/app"),
        ("psycopg", "postgresql:///app?host=/tmp", "postgresql+psycopg:///app?host=/tmp"),
        ("psycopg2", "postgresql://a:b%23@db/x?sslmode=require", "postgresql+psycopg2://a:b%23@db/x?sslmode=require"),
        (
            "asyncpg",
            "postgresql://a:b@db:5433/x?sslmode=require&channel_binding=require",
            "postgresql+asyncpg://a:b@db:5433/x?ssl=require",
        ),
        ("asyncpg", "postgresql://a@/x?host=/tmp/s&port=5432", "postgresql+asyncpg://a@/x?host=/tmp/s&port=5432"),
        ("asyncpg", "postgresql+psycopg://a@db/x", "postgresql+psycopg://a@db/x"),
    ],
)
def test_a_url_is_spelled_as_its_driver_wants_it(driver: str, url: str, expected: str) -> None:
    """The driver is named, what asyncpg spells otherwise is translated, and a URL that names its driver is kept."""
    assert expected == sqlalchemy_url(url, driver)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://ada:pw@db:5432/app?sslmode=require", "postgresql://ada:pw@db:5432/other?sslmode=require"),
        ("postgresql:///app?host=/tmp", "postgresql:///other?host=/tmp"),
        ("postgresql://db", "postgresql://db/other"),
    ],
)
def test_only_the_database_s_name_changes(url: str, expected: str) -> None:
    """The server, the account and the options stay, also where the server is a socket's folder."""
    assert expected == with_database(url, "other")


def test_a_masked_url_keeps_its_secret() -> None:
    """A password is never printed, and what is no secret is kept."""
    assert "postgresql://ada:***@db:5432/app" == masked("postgresql://ada:secret@db:5432/app")
    assert "postgresql:///app?host=/tmp" == masked("postgresql:///app?host=/tmp")
