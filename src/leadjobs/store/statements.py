"""SQL files: one statement each, named like what it does, with ``:name`` binds so that any driver can run them."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

_BIND = re.compile(r"(?<!:):([a-z_]+)")


@dataclass(frozen=True)
class Statement:
    """One SQL statement, in the spelling of each driver."""

    name: str
    portable: str

    @cached_property
    def for_psycopg(self) -> str:
        """With ``%(name)s`` binds."""
        return _BIND.sub(r"%(\1)s", self.portable.replace("%", "%%"))

    @cached_property
    def for_sqlalchemy(self) -> Any:
        """As a ``text()`` clause; loads SQLAlchemy."""
        from sqlalchemy import text

        return text(self.portable)


@lru_cache
def statement(name: str, package: str = "leadjobs.store") -> Statement:
    """The statement in ``sql/<name>.sql`` of a package, without its comments."""
    source = files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    lines = (line for line in source.splitlines() if not line.lstrip().startswith("--"))
    return Statement(name, "\n".join(lines).strip())
