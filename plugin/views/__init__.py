"""The connector's pages in the admin. They know flows and tables, never bol's API: what they do comes from outside."""
