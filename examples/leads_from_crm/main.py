"""A CRM that has leads scored: it imports the job types of the lead half, and nothing else of it.

Nothing here runs a job, has a handler, knows a table of leadjobs or asks a model.  The two share a database, and the
ids of leads and messages.  The driver is psycopg2, as in many a CRM.
"""

import os
import secrets

from sqlalchemy import Engine, create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from leadjobs import Enqueued, Lane, enqueue_many_sync, enqueue_sync
from leadjobs.errors import PayloadError
from leadjobs.leads.inbound import LeadId, MessageId
from leadjobs.leads.jobs import LEAD_SCORING_POST_PROCESS, LeadMessage, scoring_key
from leadjobs.store.url import sqlalchemy_url


class Base(DeclarativeBase):
    """The CRM's own table."""


class Deal(Base):
    """What a lead may buy.  The CRM has learned from leadjobs whose lead it is, and their newest message."""

    __tablename__ = "crm_deal"
    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int]
    lead_id: Mapped[int]
    message_id: Mapped[int]
    stage: Mapped[str]

    @property
    def subject(self) -> LeadMessage:
        """The lead and the message, as the job type wants them."""
        return LeadMessage(LeadId(self.lead_id), MessageId(self.message_id))


class Crm:
    """Keeps deals, and asks for scores in the same transactions."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open_deal(self, deal: Deal) -> Enqueued:
        """Keep a deal and have its lead scored, unless leadjobs has seen to that for the same message already.

        The key is the one that leadjobs itself uses, so that the two never ask twice.
        """
        with Session(self._engine) as session:
            job = LEAD_SCORING_POST_PROCESS.job(
                deal.subject, tenant=str(deal.workspace_id), dedupe_key=scoring_key(deal.subject)
            )
            added = enqueue_sync(session, job)
            session.add(deal)
            session.commit()
        return added

    def score_again(self, workspace_id: int, occasion: str) -> list[Enqueued]:
        """Have the leads of all deals scored anew, each once for this occasion, behind whatever is more urgent."""
        with Session(self._engine) as session:
            jobs = [
                LEAD_SCORING_POST_PROCESS.job(
                    deal.subject,
                    tenant=str(workspace_id),
                    dedupe_key=f"crm:{occasion}:{deal.lead_id}",
                    lane=Lane.BACKFILL,
                )
                for deal in session.scalars(select(Deal).filter_by(workspace_id=workspace_id))
            ]
            added = enqueue_many_sync(session, jobs)
            session.commit()
        return added


def main(url: str) -> None:
    """Open deals, one of them wrong; have all scored anew; say what became of each request."""
    engine = create_engine(sqlalchemy_url(url, "psycopg2"))
    Base.metadata.create_all(engine)
    crm = Crm(engine)
    workspace_id, lead_id, message_id = (secrets.randbelow(10**9) for _ in range(3))  # a new lead in each run

    def deal(stage: str | None) -> Deal:
        return Deal(workspace_id=workspace_id, lead_id=lead_id, message_id=message_id, stage=stage)

    try:
        crm.open_deal(deal(None))
    except IntegrityError:
        print("a deal without a stage: neither the deal nor a job")
    print("a deal:", crm.open_deal(deal("new")).verdict)
    print("another deal of the same lead:", crm.open_deal(deal("new")).verdict)
    print("all deals again:", *(added.verdict for added in crm.score_again(workspace_id, "new-prices")))
    try:
        LEAD_SCORING_POST_PROCESS.job(LeadMessage(LeadId(lead_id), "newest"))  # type: ignore[arg-type]
    except PayloadError as error:
        print(error)
    engine.dispose()


if __name__ == "__main__":
    main(os.environ["DATABASE_URL"])
