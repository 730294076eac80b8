"""The driver model, as in Linux' ``drivers/base/``."""
