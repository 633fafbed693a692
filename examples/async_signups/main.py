"""Sign-ups in Starlette, on asyncpg: the same in FastAPI, and in whatever else has an AsyncSession.

Nothing here runs a job.  The app imports leadjobs to enqueue, in the transaction in which it keeps the person.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from leadjobs import DedupeScope, JobType, OnConflict, enqueue, enqueue_many
from leadjobs.store.url import sqlalchemy_url


class Base(DeclarativeBase):
    """The app's own table."""


class Person(Base):
    """Somebody who signed up."""

    __tablename__ = "signup_person"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]


@dataclass(frozen=True)
class PersonId:
    """A payload names a row; whoever runs the job reads the rest."""

    person_id: uuid.UUID


SEND_WELCOME = JobType(name="SEND_WELCOME", payload=PersonId)
SEND_TIPS = JobType(name="SEND_TIPS", payload=PersonId)
SYNC_PERSON = JobType(name="SYNC_PERSON", payload=PersonId, scope=DedupeScope.LIVE)


class SignUps:
    """The doors."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def sign_up(self, request: Request) -> JSONResponse:
        """Keep the person and enqueue a welcome and, for later, some tips: all of it, or nothing."""
        who = PersonId(uuid.uuid4())
        person = Person(id=who.person_id, email=(await request.json())["email"])
        async with AsyncSession(self._engine) as session:
            added = await enqueue_many(session, [SEND_WELCOME.job(who), SEND_TIPS.job(who, delay=timedelta(days=3))])
            session.add(person)
            try:
                await session.commit()
            except IntegrityError:  # the jobs came first, and are gone with the row all the same
                return JSONResponse({"error": "this address has signed up before"}, 409)
        return JSONResponse({"person_id": str(who.person_id), "jobs": [each.job_id for each in added]}, 201)

    async def rename(self, request: Request) -> JSONResponse:
        """Keep a new name and tell the CRM in half a minute: once, however often the name changes until then."""
        async with AsyncSession(self._engine) as session:
            person = await session.get(Person, request.path_params["person_id"])
            if person is None:
                return JSONResponse({"error": "nobody"}, 404)
            person.name = (await request.json())["name"]
            job = SYNC_PERSON.job(
                PersonId(person.id),
                dedupe_key=f"person:{person.id}",
                on_conflict=OnConflict.REPLACE,
                delay=timedelta(seconds=30),
            )
            added = await enqueue(session, job)
            await session.commit()
        return JSONResponse({"job_id": added.job_id, "verdict": added.verdict})


def create_app(engine: AsyncEngine) -> Starlette:
    """The app, on this database; it makes its table when it starts."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    doors = SignUps(engine)
    routes = [
        Route("/people", doors.sign_up, methods=["POST"]),
        Route("/people/{person_id:uuid}/name", doors.rename, methods=["PUT"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


# Only to show it: an app need not look into the engine's table.
TYPES = "SELECT type FROM background_job WHERE payload ->> 'person_id' = %s ORDER BY type"
OF_NOBODY = """
SELECT count(*) FROM background_job
 WHERE type IN ('SEND_WELCOME', 'SEND_TIPS', 'SYNC_PERSON')
   AND NOT EXISTS (SELECT FROM signup_person WHERE CAST(signup_person.id AS text) = payload ->> 'person_id')
"""


def main(url: str) -> None:
    """Sign up, sign up again, change the name twice; say what each was told, and which jobs there are."""
    email = f"{uuid.uuid4()}@example.org"
    with TestClient(create_app(create_async_engine(sqlalchemy_url(url, "asyncpg")))) as client:
        first = client.post("/people", json={"email": email})
        print(first.status_code, len(first.json()["jobs"]), "jobs")
        again = client.post("/people", json={"email": email})
        print(again.status_code, again.json()["error"])
        for name in ("Ada", "Ada Lovelace"):
            renamed = client.put(f"/people/{first.json()['person_id']}/name", json={"name": name})
            print(renamed.status_code, renamed.json()["verdict"])

    with psycopg.connect(url) as connection:
        print(*(name for (name,) in connection.execute(TYPES, [first.json()["person_id"]])))
        print(*connection.execute(OF_NOBODY).fetchone() or (), "jobs for nobody")


if __name__ == "__main__":
    main(os.environ["DATABASE_URL"])
