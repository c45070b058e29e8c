"""How much of texts was seen: as a share of their tokens, where that is known."""

from __future__ import annotations

import pytest

from edgebert.coverage import Coverage, Unseen
from edgebert.errors import TruncationWarning


@pytest.mark.parametrize(
    ("coverages", "share", "said"),
    [
        ([], "", ""),
        ([(5, 1, False)], "", ""),
        ([(20, 1, True), (5, 1, False)], "50 %", "1 of 2 texts .* 10 tokens; 50 % of their tokens are not seen"),
        ([(1010, 1, True), (1010, 1, True)], "99 %", "2 of 2 texts .* 99 % of their tokens"),
        ([(2001, 1, True), *[(10, 2, True)] * 99], "67 %", "100 of 100 texts"),
        # Of a pair in several windows nobody knows what was cut.
        ([(30, 2, True)], "", "1 of 1 texts .* what does not fit is not seen"),
    ],
)
def test_a_share_of_the_tokens(coverages, share, said):
    unseen = Unseen(10)
    unseen.add(Coverage(*each) for each in coverages)
    assert unseen.share == share
    if said:
        with pytest.warns(TruncationWarning, match=said):
            unseen.warn()
    else:
        unseen.warn()


def test_less_than_one_percent():
    unseen = Unseen(1000)
    unseen.add([Coverage(1005, 1, True)])
    assert unseen.share == "less than 1 %"
