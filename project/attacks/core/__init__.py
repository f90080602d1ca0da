"""What every attack is: guarantees, questions to the victim, who still resists."""
