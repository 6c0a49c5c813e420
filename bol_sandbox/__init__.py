"""A stateful stand-in for bol's login, Retailer, Offers and shared APIs, for tests and demonstrations."""
