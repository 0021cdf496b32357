"""The maths: activations, losses, optimizers, schedules and initialisations, one rule a class."""
