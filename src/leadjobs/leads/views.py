"""What others are shown of a lead: JSON with the mission's names."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class LeadScoreView(BaseModel):
    """A lead's current scores; all None while it is unscored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    fit_score: int | None
    intent_score: int | None
    overall_score: int | None
    score_reasoning: str | None
    scored_at: datetime | None


class LeadView(LeadScoreView):
    """A lead in a list; addresses and numbers are left out."""

    id: int
    workspace_id: int
    first_name: str | None
    last_name: str | None
    job_title: str | None
    company: str | None
    opted_out_at: datetime | None
    last_inbound_at: datetime | None
