"""What bol tells us, as frozen values: only the fields that are used, times aware in UTC, ids as text."""
