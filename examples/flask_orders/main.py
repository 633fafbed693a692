"""A shop in Flask: it keeps orders, and leaves the packing to jobs that another service runs.

Nothing here runs a job.  The shop imports leadjobs to enqueue, in the transaction in which it keeps the order.
"""

import os
import uuid
from dataclasses import dataclass

from flask import Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy import CheckConstraint, Engine, ForeignKey, create_engine, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from leadjobs import JobType, Verdict, enqueue_sync
from leadjobs.store.url import sqlalchemy_url


class Base(DeclarativeBase):
    """The shop's own tables."""


class Item(Base):
    """What the shop sells, and how many it has."""

    __tablename__ = "shop_item"
    name: Mapped[str] = mapped_column(primary_key=True)
    stock: Mapped[int] = mapped_column(CheckConstraint("stock >= 0"))


class Order(Base):
    """Somebody ordered something."""

    __tablename__ = "shop_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(ForeignKey(Item.name))


@dataclass(frozen=True)
class OrderId:
    """A payload names a row; whoever packs the order reads the rest."""

    order_id: int


PACK_ORDER = JobType(name="PACK_ORDER", payload=OrderId)
MAX_KEY = 200  # characters; leadjobs takes 500 bytes


def create_app(engine: Engine) -> Flask:
    """The shop, on this database."""
    app = Flask(__name__)

    @app.post("/orders")
    def take_order() -> ResponseReturnValue:
        """Keep the order and enqueue its packing, or neither.  The same request again gets the first one's job."""
        key = request.headers.get("Idempotency-Key") or None
        if key and len(key) > MAX_KEY:
            return {"error": "the Idempotency-Key is too long"}, 400
        with Session(engine) as session:  # what is not committed at its end is rolled back
            order = Order(item=request.form["item"])
            session.add(order)
            session.flush()  # now the order has its id
            added = enqueue_sync(session, PACK_ORDER.job(OrderId(order.id), tenant="shop", dedupe_key=key))
            answer = {"job_id": added.job_id, "verdict": added.verdict}
            if added.verdict is Verdict.IGNORED:
                return answer, 200  # the first request's order and job stand; this order is rolled back
            session.execute(update(Item).where(Item.name == order.item).values(stock=Item.stock - 1))
            session.commit()
        return answer, 201

    @app.errorhandler(IntegrityError)
    def sold_out(_: IntegrityError) -> ResponseReturnValue:
        return {"error": "sold out, or never sold here"}, 409

    return app


def open_shop(engine: Engine) -> None:
    """Make the shop's tables, and fill its shelves."""
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.merge(Item(name="lamp", stock=2))
        session.merge(Item(name="chair", stock=1))
        session.commit()


# Only to show it: an app need not look into the engine's table.
UNPAIRED = """
SELECT count(*) FILTER (WHERE job.id IS NULL), count(*) FILTER (WHERE shop_order.id IS NULL)
  FROM shop_order
  FULL JOIN (SELECT id, payload FROM background_job WHERE type = 'PACK_ORDER') AS job
    ON job.payload = jsonb_build_object('order_id', shop_order.id)
"""


def main(url: str) -> None:
    """Order this and that, one order twice and one too many; say what each was told."""
    engine = create_engine(sqlalchemy_url(url))
    open_shop(engine)
    app = create_app(engine)
    app.testing = True  # a mistake is a traceback here, not a page that says 500
    client, key = app.test_client(), f"order:{uuid.uuid4()}"
    for item, headers in (
        ("lamp", {"Idempotency-Key": key}),
        ("lamp", {"Idempotency-Key": key}),
        ("chair", {}),
        ("chair", {}),
    ):
        response = client.post("/orders", data={"item": item}, headers=headers)
        answer: dict[str, str] = response.get_json()
        print(response.status_code, item, answer.get("verdict") or answer["error"])

    with engine.connect() as connection:
        jobless, orderless = connection.execute(text(UNPAIRED)).one()
    print(f"{jobless} orders without a job, {orderless} jobs without an order")
    engine.dispose()


if __name__ == "__main__":
    main(os.environ["DATABASE_URL"])
