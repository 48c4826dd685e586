"""Texts of our own making, for the tests of language models."""

import numpy as np

WHO = ("春天", "老師", "小貓", "火車", "月亮", "風", "孩子")
DOES = ("看見", "等著", "喜歡", "忘了", "追著")
WHAT = ("山上的雲", "一條河", "昨天的夢", "門前的樹", "遠方的燈", "雪")


def chinese(sentences: int, seed: int = 0) -> str:
    """Sentences such as 小貓等著門前的樹。, a few a line."""
    rng = np.random.default_rng(seed)
    said = [f"{rng.choice(WHO)}{rng.choice(DOES)}{rng.choice(WHAT)}{rng.choice(list('。。，！'))}" for _ in range(sentences)]
    return "".join(each + ("\n" if rng.random() < 0.3 else "") for each in said)


def rhyme(lines: int) -> str:
    """Lines of one that is easily learned."""
    return "jumpy fox, wild gnat\n" * lines
