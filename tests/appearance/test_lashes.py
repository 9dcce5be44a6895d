"""Drawn lashes do not double the photographed ones."""

import numpy as np

from id2head_core.appearance.lashes import photographed_lashes
from id2head_core.template.head_template import HeadTemplate


def test_lashes_are_thinner_and_most_so_for_men():
    stock = HeadTemplate.load().stock_materials(["lashes"])["lashes"]
    drawn = [
        float((m.alpha > 0.5).mean())
        for m in (photographed_lashes(stock, 0.0), photographed_lashes(stock, 1.0), stock)
    ]
    assert 0 < 1.5 * drawn[0] < drawn[1] < 0.8 * drawn[2]
    woman = photographed_lashes(stock, 1.0).alpha
    assert not woman[len(woman) // 2 :].any()  # none on the lower lid
    assert np.shape(woman) == np.shape(stock.alpha)
