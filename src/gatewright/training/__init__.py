"""Training: losses, optimizers, schedules, and the loop that brings them together."""
