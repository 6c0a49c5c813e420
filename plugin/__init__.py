"""The bol.com Retailer connector: a plugin for the warehouse platform."""

__version__ = "0.1.0"
