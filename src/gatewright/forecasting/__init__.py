"""Forecasting: windows, scaling, a committee of recurrent networks, its intervals, the classics, and an honest comparison."""
