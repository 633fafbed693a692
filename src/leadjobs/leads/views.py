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
