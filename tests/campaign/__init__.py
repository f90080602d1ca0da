"""A crash campaign: experiments, trainings, studies and grids are killed, and must end unbroken."""
