"""Files and the devices behind them, as in Linux' ``fs/``."""
