"""What the tests of the histories share: the providers' APIs on this machine."""

from collections.abc import Iterator

import pytest
from tests.channels.histories.apis import KEY

from leadjobs.testing.providers import ProvidersStandIn
from leadjobs.testing.serve import serve


@pytest.fixture
def apis() -> ProvidersStandIn:
    return ProvidersStandIn(key=KEY)


@pytest.fixture
def apis_url(apis: ProvidersStandIn) -> Iterator[str]:
    with serve(apis) as url:
        yield url
