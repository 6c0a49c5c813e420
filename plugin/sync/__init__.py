"""The flows between the warehouse and bol. No Flask, no RQ: a host port, a lease and a client come from outside."""
