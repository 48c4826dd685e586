"""The sunspots in the protocol of the literature: one step ahead, trained on 1700–1920 (Weigend, Huberman & Rumelhart 1990)."""

from typing import Any

from gatewright.data.series import SUNSPOT_VARIANCE, sunspot_settings, sunspots
from gatewright.forecasting.backtest import Period
from gatewright.forecasting.job import Job
from gatewright.forecasting.settings import Settings

TRAIN = 221  # rows: the years 1700–1920
PERIODS = (Period("1921–55", 221, 255), Period("1956–79", 256, 279), Period("1980–2008", 280, 308))
ORDERS = (12, 9)  # of the autoregressions: the literature's, and the shorter one that does better


def settings(**others: Any) -> Settings:
    """The settings that were chosen on the training years, with `others` (fields of Settings) in place of some."""
    return Settings(**{**sunspot_settings()["settings"], **others})


def job(chosen: Settings, season: int | None = None, repeat: int = 0) -> Job:
    """The sunspots forecast with these settings; squared errors are divided by 1535, the variance of the literature."""
    found = sunspot_settings()
    script = found["script"] if chosen == settings(seed=chosen.seed) else None
    return Job(sunspots(), chosen, TRAIN, PERIODS, SUNSPOT_VARIANCE, ORDERS, season, repeat, script)
