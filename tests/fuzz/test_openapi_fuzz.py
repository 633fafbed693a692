"""The doors keep to their OpenAPI document, whatever is sent: by schemathesis, over HTTP."""

import hashlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from leadjobs.app import App
from leadjobs.demo.replies import SECRETS
from leadjobs.openapi import openapi
from leadjobs.settings import read_settings
from leadjobs.testing import new_database
from leadjobs.testing.serve import serve

DOORS = schemathesis.openapi.from_dict(openapi())
# A cursor cannot be described, only given back; and both tokens are tried here anyway.
EXCLUDED = [schemathesis.checks.CHECKS.get_one(name) for name in ("ignored_auth", "positive_data_acceptance")]
TOKEN = "ljt_" + "f" * 43


@pytest.fixture(scope="module")
def base_url(leadjobs_server: str, leadjobs_template: str) -> Iterator[str]:
    """All doors, on a migrated database with one workspace that has no leads."""
    with new_database(leadjobs_server, leadjobs_template) as url:
        with psycopg.connect(url) as connection:
            hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
            connection.execute("INSERT INTO workspace (id, name) VALUES (1, 'Fuzz')")
            connection.execute(
                "INSERT INTO api_token (name, workspace_id, role, token_hash) VALUES ('fuzz', 1, 'reader', %s)",
                [hashed],
            )
        own = read_settings(database_url=url, cron_secret=TOKEN, public_url=None, openai_api_key=None, **SECRETS)
        with serve(App(lambda: own).doors) as address:
            yield address


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", "Bearer guessed"], ids=["token", "guess"])
@DOORS.parametrize()
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_doors_keep_to_their_document(case: Any, base_url: str, authorization: str) -> None:
    """Each answer has a documented status and shape, with the right token and without; none is a 5xx."""
    response = case.call(base_url=base_url, headers={"Authorization": authorization})

    assert response.status_code < 500
    case.validate_response(response, excluded_checks=EXCLUDED)
