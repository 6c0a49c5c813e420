"""Background work: RQ entry points of a few lines, their queues and names, and what is due."""
