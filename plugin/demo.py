"""The account that a demonstration connects to."""

#: Client id and secret of the first seller of the sandbox's demonstration data.
DEMO_SELLER = ("demo-seller", "demo-secret")
