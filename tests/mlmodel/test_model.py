from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from nightcast.mlmodel.model import Link


def test_links_are_those_of_scipy() -> None:
    raw = np.linspace(-30, 30, 101)
    many = np.random.default_rng(0).normal(0, 20, (50, 4))

    assert Link.IDENTITY.predictions(raw) is raw
    assert Link.LOG.predictions(raw) == pytest.approx(np.exp(raw))
    assert Link.LOGIT.predictions(raw) == pytest.approx(special.expit(raw), rel=1e-14)
    assert Link.SOFTMAX.predictions(many) == pytest.approx(special.softmax(many, axis=1), rel=1e-13)


def test_extreme_scores_stay_probabilities() -> None:
    raw = np.array([-1e308, -800.0, 0.0, 800.0, 1e308])
    assert Link.LOGIT.predictions(raw).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    rows = Link.SOFTMAX.predictions(np.array([[1e308, -1e308], [-800.0, 800.0]]))
    assert rows.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert np.isinf(Link.LOG.predictions(np.array([1e4])))[0]
