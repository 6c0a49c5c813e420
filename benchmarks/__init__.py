"""What is measured, each value beside the floor that it can't beat."""
